"""What the engine reports upwards while it works; every value can be printed, compared and written by hand.

A function that takes long accepts `on_event: Callable[[Event], None]` and never prints. It calls `on_event` from
whatever thread does the work; the receiver must not block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum


class StepState(Enum):
    """Where a build step is."""

    RUNNING = "running"
    CACHED = "cached"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"  # by an interrupt, or since another step failed


@dataclass(frozen=True, slots=True)
class BuildStep:
    """A step of a build changed its state. `number` counts from 1; `line` is the Dockerfile's (from 1).

    `stage` is the name of its stage, "" where there is only one, and `place` where it is in that: which step, of how
    many; (0, 0) where nobody counts. `container_id` is told when a command starts, and
    `image_id` is what the image as it is after the step is called, "" where it came to none. `cpu_ns` and
    `peak_memory_bytes` are what a command used; of other steps `cpu_ns` is the builder's own.
    """

    number: int
    total: int
    text: str
    state: StepState
    line: int
    duration_s: float = 0.0
    reason: str = ""  # why it ran, or what it was found by
    details: tuple[str, ...] = ()  # all that is known of why, where that was asked for
    stage: str = ""
    container_id: str = ""
    image_id: str = ""
    cpu_ns: int = 0
    peak_memory_bytes: int = 0
    place: tuple[int, int] = (0, 0)

    @property
    def label(self) -> str:
        """Where it is as BuildKit writes it: "2/5", or "stage 2/5" where there are several stages."""
        number, total = self.place if self.stage and self.place[0] else (self.number, self.total)
        return f"{self.stage} {number}/{total}".strip()

    @property
    def instruction(self) -> str:
        """The keyword that it begins with, in capitals."""
        return self.text.partition(" ")[0].upper()


@dataclass(frozen=True, slots=True)
class BuildOutput:
    """Bytes that the command of a RUN step wrote; `stream` is "stdout" or "stderr"."""

    number: int
    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class BuildWarning:
    """Something that a builder ought to know; the build goes on."""

    message: str
    line: int


@dataclass(frozen=True, slots=True)
class BuildFinished:
    """The image is stored; `references` are its names, familiar form."""

    image_id: str
    references: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class PullStarted:
    """A pull of `name`, a tag or a whole reference with a digest, begins; `repository` is its path in the registry."""

    name: str
    repository: str


@dataclass(frozen=True, slots=True)
class RegistryWarning:
    """What a registry wants its users to know; reported once. The text is the registry's, and may hold anything."""

    registry: str
    message: str


@dataclass(frozen=True, slots=True)
class PullProgress:
    """A layer's state; sizes in bytes.

    "waiting", "downloading", "retrying" (`detail` says when and why), "downloaded", "extracting", "exists" or
    "complete".
    """

    digest: str
    status: str
    current_bytes: int
    total_bytes: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PullFinished:
    """A pull is complete; `updated` is False where the image was here already."""

    reference: str
    digest: str
    updated: bool


@dataclass(frozen=True, slots=True)
class PushStarted:
    """A push begins; `repository` is the name in full, with its registry."""

    repository: str


@dataclass(frozen=True, slots=True)
class PushProgress:
    """The state of a layer that is pushed; sizes in bytes.

    "preparing", "waiting", "uploading", "retrying" (`detail` says when and why), "pushed", "exists", "mounted"
    (`detail` names the repository it came from) or "skipped" (a foreign layer).
    """

    digest: str
    status: str
    current_bytes: int
    total_bytes: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PushFinished:
    """A tag is pushed; the digest and the size in bytes are its manifest's."""

    reference: str
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class RegistryRequest:
    """A registry that is served here has answered a request; sizes are those of the bodies.

    `path` is as the client wrote it, `user` the name that it gave, and `error` has the code and the words of a refusal.
    The status is 0 where the connection broke off before an answer.
    """

    client: str
    agent: str
    user: str
    method: str
    path: str
    status: int
    received_bytes: int
    sent_bytes: int
    duration_s: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class RegistryRetry:
    """A registry is asked again after a pause; the message says why. Of layers, their own progress tells it."""

    message: str
    pause_s: float


@dataclass(frozen=True, slots=True)
class BootstrapOutput:
    """A line of what the making of a base image said."""

    line: str


@dataclass(frozen=True, slots=True)
class ContainerCreated:
    """The container is there; it hasn't been started. `logged`: what it writes can be read when it has ended."""

    container_id: str
    logged: bool = False


@dataclass(frozen=True, slots=True)
class ContainerStarted:
    """The process runs; `pid` is the host's number of the container's process 1."""

    container_id: str
    pid: int


@dataclass(frozen=True, slots=True)
class ContainerWarning:
    """Something asked for that this host can't do; the container runs without it."""

    container_id: str
    message: str


@dataclass(frozen=True, slots=True)
class ContainerOutput:
    """Bytes that a container wrote; `stream` is "stdout" or "stderr"."""

    container_id: str
    stream: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ContainerExited:
    """The container's process 1 is gone; `exit_status` is 128+n for signal n."""

    container_id: str
    exit_status: int
    oom_killed: bool


@dataclass(frozen=True, slots=True)
class FilesProgress:
    """Files that are copied or packed for longer than a second: what is done, and how many bytes so far."""

    what: str
    size_bytes: int


Event = (
    BuildStep
    | BuildOutput
    | BuildWarning
    | BuildFinished
    | PullStarted
    | RegistryWarning
    | RegistryRetry
    | PullProgress
    | PullFinished
    | PushStarted
    | PushProgress
    | PushFinished
    | RegistryRequest
    | FilesProgress
    | BootstrapOutput
    | ContainerCreated
    | ContainerStarted
    | ContainerWarning
    | ContainerOutput
    | ContainerExited
)
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Take an event and do nothing."""
