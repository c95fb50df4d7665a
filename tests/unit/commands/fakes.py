"""An engine without containers: it notes what it is asked for, and answers with what the test gave it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from dockmagic.builder import states
from dockmagic.builder.history import BuildRecord
from dockmagic.builder.records import CacheRecord
from dockmagic.builder.remotes import Remotes
from dockmagic.builder.upkeep import NO_LIMIT, Space
from dockmagic.commands.progress_style import ProgressStyle
from dockmagic.dockerfile.lint import LintWarning
from dockmagic.errors import NotFound, RegistryError, Unauthorized
from dockmagic.events import ContainerOutput, Event, OnEvent, RegistryRequest, StepState, ignore
from dockmagic.files.copying import Copied
from dockmagic.image.accounts import Login, Logout
from dockmagic.image.auth import Credentials
from dockmagic.image.difference import Difference
from dockmagic.image.fsck import Report
from dockmagic.image.offline import Offer
from dockmagic.image.pruning import Pruned
from dockmagic.image.push import Pushed
from dockmagic.image.remote import RemoteImage
from dockmagic.image.search import Found
from dockmagic.image.streams import Sink, Source
from dockmagic.image.tree import Change, Kind, LayerNode
from dockmagic.image.workspace import Workspaces
from dockmagic.journal import NOWHERE, Journal
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ImageConfig
from dockmagic.oci.networks import NetworkOptions
from dockmagic.oci.options import ExecOptions, RunOptions
from dockmagic.oci.ports import Published
from dockmagic.oci.reference import Reference
from dockmagic.oci.selection import Selection
from dockmagic.oci.spec import ConsoleSize
from dockmagic.runtime.attach import Attachment, Controls
from dockmagic.runtime.processes import Listing
from dockmagic.upkeep import DiskUsage
from dockmagic.volumes.verbs import Volumes

IMAGE_ID = Digest.of(b"an image")
NOTHING = DiskUsage((), 0, 0, (), ())


@dataclass(frozen=True)
class State:
    """A container's state, with the fields of the engine's."""

    status: str = "running"
    pid: int = 1
    exit_status: int = 0
    started_ns: int = 0
    finished_ns: int = 0
    oom_killed: bool = False
    error: str = ""
    health: str = ""


@dataclass(frozen=True)
class Line:
    """A line of a log."""

    time_ns: int
    stream: str
    data: bytes


@dataclass(frozen=True)
class Result:
    """What a run gave."""

    container_id: str = "c" * 64
    exit_status: int = 0
    oom_killed: bool = False


@dataclass
class FakeContainer:
    """A handle that notes its calls."""

    name: str = "burn"
    id: str = "c0ffee" + "0" * 58
    image: str = "busybox"
    command: tuple[str, ...] = ("sh", "-c", "while :; do :; done")
    created_ns: int = 0
    now: State = field(default_factory=State)
    lines: tuple[Line, ...] = ()
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    fails: Exception | None = None
    said: tuple[tuple[str, bytes], ...] = ()
    exec_status: int = 0
    changed: tuple[Change, ...] = ()
    tty: bool = False
    interactive: bool = False
    attachment: Attachment | None = None
    row: Any = None
    published: tuple[Published, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """As much of a row as commands look at."""
        spec = SimpleNamespace(process=SimpleNamespace(terminal=self.tty))
        options = RunOptions(interactive=self.interactive)
        self.row = self.row or SimpleNamespace(image_id=IMAGE_ID, options=options, spec=spec)

    def ports(self) -> tuple[Published, ...]:
        """The ports that the test gave."""
        return self.published

    def size_bytes(self) -> int:
        """A little."""
        return 1200

    def networks(self) -> list[str]:
        """The one that its options name."""
        return ["bridge" if self.row.options.network == "default" else self.row.options.network]

    def connected_to(self, network: str) -> bool:
        """Whether its options name it."""
        return network in self.networks()

    def connect(self, options: NetworkOptions) -> None:
        """Note it."""
        self._note("connect", options)

    def disconnect(self, network: str) -> None:
        """Note it."""
        self._note("disconnect", network)

    def state(self) -> State:
        """The state that the test gave."""
        return self.now

    def _note(self, *call: Any) -> None:
        if self.fails is not None:
            raise self.fails
        self.calls.append(call)

    def start(self) -> None:
        """Note it."""
        self._note("start")

    def stop(self, timeout_s: int | None = None, signal: str = "") -> None:
        """Note it."""
        self._note("stop", timeout_s, *filter(None, [signal]))

    def restart(self, timeout_s: int | None = None, signal: str = "") -> None:
        """Note it."""
        self._note("restart", timeout_s, signal)

    def pause(self) -> None:
        """Note it."""
        self._note("pause")

    def unpause(self) -> None:
        """Note it."""
        self._note("unpause")

    def rename(self, name: str) -> None:
        """Note it."""
        self._note("rename", name)

    def top(self, options: Sequence[str] = ()) -> Listing:
        """One process."""
        self._note("top", *options)
        return Listing(("PID", "CMD"), (("7", "sh"),))

    def kill(self, signal: str = "KILL") -> None:
        """Note it."""
        self._note("kill", signal)

    def rm(self, force: bool = False, *, volumes: bool = False) -> None:
        """Note it."""
        self._note("rm", force, *(["volumes"] if volumes else []))

    def wait(self) -> int:
        """The status in the state."""
        self._note("wait")
        return self.now.exit_status

    def logs(
        self, *, follow: bool = False, tail: int | None = None, since_ns: int, until_ns: int | None
    ) -> Iterator[Line]:
        """The lines that the test gave."""
        self._note("logs", follow, tail, *([since_ns, until_ns] if since_ns or until_ns else []))
        return iter(self.lines if tail is None else self.lines[-tail:])

    def exec(self, options: ExecOptions, *, attachment: Attachment, on_event: OnEvent = ignore) -> int:
        """Report the output that the test gave."""
        self._note("exec", options, attachment.stdin)
        return self._say(attachment, on_event)

    def _say(self, attachment: Attachment, on_event: OnEvent) -> int:
        self.attachment = attachment
        for stream, data in self.said:
            on_event(ContainerOutput(self.id, stream, data))
        return self.exec_status

    @property
    def running(self) -> bool:
        """Whether the state that the test gave is that."""
        return self.now.status == "running"

    def attach(self, attachment: Attachment, on_event: OnEvent = ignore) -> int:
        """Report the output that the test gave."""
        self._note("attach")
        return self._say(attachment, on_event)

    def start_attached(self, attachment: Attachment, on_event: OnEvent = ignore) -> int:
        """Report the output that the test gave."""
        self._note("start attached")
        return self._say(attachment, on_event)

    def inspect(self) -> dict[str, Any]:
        """A little of Docker's form."""
        return {"Id": self.id, "Name": f"/{self.name}"}

    def diff(self) -> tuple[Change, ...]:
        """The changes that the test gave."""
        return self.changed

    def export(self, out: Sink, on_event: OnEvent = ignore) -> None:
        """Write a little."""
        out.write(b"archive")

    def commit(self, reference: str = "", **options: Any) -> FakeImage:
        """Note it."""
        options.pop("on_event")
        self._note("commit", reference, options)
        return FakeImage()

    def copy_from(self, path: str, to: str | Sink, **options: Any) -> Copied:
        """Note it; a stream gets a little."""
        options.pop("on_event")
        self._note("copy_from", path, to if isinstance(to, str) else to.write(b"archive"), options)
        return Copied(1234, str(to))

    def copy_to(self, source: str | Source, path: str, **options: Any) -> Copied:
        """Note it, and what a stream has."""
        options.pop("on_event")
        self._note("copy_to", source if isinstance(source, str) else source.read(100), path, options)
        return Copied(1234, f"{self.name}:{path}")


@dataclass
class FakeContainers:
    """The containers that the test gave, and what was asked of them."""

    all: dict[str, FakeContainer] = field(default_factory=dict)
    asked: list[tuple[str, str, RunOptions]] = field(default_factory=list)
    events: tuple[Event, ...] = ()
    result: Result = field(default_factory=Result)
    fails: BaseException | None = None
    stdin: int | None = None
    attachment: Attachment | None = None
    meanwhile: Callable[[OnEvent], None] | None = None

    def run(self, image: str, options: RunOptions, *, attachment: Attachment, on_event: OnEvent = ignore) -> Result:
        """Report the events, then fail or give the result."""
        self.asked.append(("run", image, options))
        self.stdin = attachment.stdin
        self.attachment = attachment
        for event in self.events:
            on_event(event)
        if self.meanwhile is not None:
            self.meanwhile(on_event)
        if self.fails is not None:
            raise self.fails
        return self.result

    def create(self, image: str, options: RunOptions, on_event: OnEvent = ignore) -> FakeContainer:
        """Note it."""
        self.asked.append(("create", image, options))
        return FakeContainer(options.name or "made_up")

    def run_detached(self, image: str, options: RunOptions, on_event: OnEvent = ignore) -> FakeContainer:
        """Note it."""
        self.asked.append(("run_detached", image, options))
        return FakeContainer(options.name or "made_up")

    def ls(self, all: bool = False) -> list[FakeContainer]:
        """Those that run, or all."""
        return [c for c in self.all.values() if all or c.now.status == "running"]

    def get(self, name: str) -> FakeContainer:
        """By name only."""
        if name not in self.all:
            raise NotFound("container", name)
        return self.all[name]


@dataclass(frozen=True)
class FakeImage:
    """A stored image."""

    id: Digest = IMAGE_ID
    references: tuple[Reference, ...] = (Reference.parse("hello"),)
    size_bytes: int = 4_268_123
    created: datetime | None = datetime(2024, 1, 1, tzinfo=UTC)
    config: ImageConfig = field(default_factory=lambda: ImageConfig("amd64", "linux"))


def change(path: str, kind: Kind = "A", type: str = "file", size_bytes: int = 0) -> Change:
    """A path that a layer changed."""
    return Change(path, kind, type, size_bytes, 0o644)


def node(instruction: str, *, empty: bool = False, created: str = "2024-01-01T00:00:00Z", **counts: Any) -> LayerNode:
    """An instruction and its layer."""
    return LayerNode(instruction, created, empty, **counts)


@dataclass(frozen=True)
class FakeTree:
    """An image and its instructions."""

    nodes: tuple[LayerNode, ...]
    image: FakeImage = field(default_factory=FakeImage)


@dataclass
class FakeImages:
    """The images that the test gave, and what was asked of them."""

    all: dict[str, FakeImage] = field(default_factory=dict)
    nodes: tuple[LayerNode, ...] = ()
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    events: tuple[Event, ...] = ()
    offered: list[Offer] = field(default_factory=list)
    tag_names: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    looked_at: tuple[RemoteImage, ...] = ()
    found: tuple[Found, ...] = ()

    def tags(self, repository: str, on_event: OnEvent = ignore) -> tuple[str, ...]:
        """Those that the test gave."""
        self.calls.append(("tags", repository))
        return self.tag_names

    def catalog(self, registry: str, on_event: OnEvent = ignore) -> tuple[str, ...]:
        """Those that the test gave."""
        self.calls.append(("catalog", registry))
        return self.tag_names

    def remote(self, reference: str, **options: Any) -> RemoteImage:
        """The one that the test gave."""
        self.calls.append(("remote", reference, options.get("platform")))
        return self.looked_at[0]

    def search(self, term: str, limit: int, on_event: OnEvent = ignore) -> tuple[Found, ...]:
        """Those that the test gave."""
        self.calls.append(("search", term, limit))
        return self.found

    def delete_remote(self, reference: str, on_event: OnEvent = ignore) -> str:
        """Note it."""
        self.calls.append(("delete_remote", reference))
        return f"Untagged: {reference}"

    def ls(self) -> list[FakeImage]:
        """All."""
        return list(self.all.values())

    def get(self, name: str) -> FakeImage:
        """By name only."""
        if name not in self.all:
            raise NotFound("image", name)
        return self.all[name]

    def pull(self, reference: str, on_event: OnEvent, platform: Platform | None = None) -> FakeImage:
        """Report the events."""
        self.calls.append(("pull", reference, platform))
        if reference in self.failing:
            raise RegistryError(f"no {reference}")
        for event in self.events:
            on_event(event)
        return FakeImage(references=(Reference.parse(reference),))

    def push(
        self, reference: str, on_event: OnEvent = ignore, *, all_tags: bool = False, platform: Platform | None = None
    ) -> tuple[Pushed, ...]:
        """Report the events."""
        self.calls.append(("push", reference, all_tags, platform))
        for event in self.events:
            on_event(event)
        return (Pushed(Reference.parse(reference), IMAGE_ID, 400),)

    def tag(self, source: str, target: str) -> None:
        """Note it."""
        self.calls.append(("tag", source, target))

    def rm(self, name: str, force: bool = False) -> list[str]:
        """Note it."""
        self.calls.append(("rm", name, force))
        return [f"Untagged: {name}"]

    def tree(self, name: str) -> FakeTree:
        """The nodes that the test gave."""
        return FakeTree(self.nodes)

    def inspect(self, name: str) -> dict[str, Any]:
        """A little of Docker's form."""
        if name not in self.all:
            raise NotFound("image", name)
        return {"Id": self.all[name].id}

    def wheel(self, names: list[str], directory: Path, *, name: str = "", version: str = "") -> Path:
        """Note it."""
        self.calls.append(("wheel", names, directory, name, version))
        return directory / "x.whl"

    def offline(self) -> list[Offer]:
        """What the test gave."""
        return self.offered

    def import_(self, source: str | Source, reference: str = "", **options: Any) -> FakeImage:
        """Note it, and what a stream has."""
        options.pop("on_event")
        self.calls.append(("import", source if isinstance(source, str) else source.read(100), reference, options))
        return FakeImage()

    def bootstrap(self, name: str, on_event: OnEvent = ignore) -> FakeImage:
        """Note it."""
        self.calls.append(("bootstrap", name))
        return FakeImage(references=(Reference.parse(name),))


@dataclass
class FakeServer:
    """A registry that is asked what the test gave."""

    port: int = 5000
    warning: str = ""
    requests: tuple[RegistryRequest, ...] = ()
    interrupted: bool = False
    stopped: bool = False

    @property
    def host(self) -> str:
        """On this machine."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """On this machine."""
        return f"http://{self.host}"

    def follow(self) -> Iterator[RegistryRequest]:
        """The requests, and then perhaps Ctrl-C."""
        yield from self.requests
        if self.interrupted:
            raise KeyboardInterrupt

    def stop(self) -> None:
        """Note it."""
        self.stopped = True


@dataclass
class FakeRegistries:
    """Serves the registries that the test gave, and notes how."""

    served: tuple[FakeServer, ...] = field(default_factory=lambda: (FakeServer(),))
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def serve(self, port: int, bind: str, **options: Any) -> FakeServer:
        """The first."""
        self.calls.append((port, bind, options))
        return self.served[0]


@dataclass
class FakeUpkeep:
    """Notes what is to go, and has what the test gave."""

    used: DiskUsage = NOTHING
    pruned: Pruned = field(default_factory=Pruned)
    checked: Report = field(default_factory=lambda: Report(1, 2, 3, (), ()))
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def fsck(self, *, full: bool, dry_run: bool) -> Report:
        """Note it."""
        self.calls.append(("fsck", full, dry_run))
        return self.checked

    def usage(self) -> DiskUsage:
        """What the test gave."""
        return self.used

    def cache(self) -> list[CacheRecord]:
        """The records that the test gave."""
        return list(self.used.cache)

    def prune_images(self, selection: Selection, *, all: bool = False) -> Pruned:
        """Note it."""
        self.calls.append(("images", selection, all))
        return self.pruned

    def prune_containers(self, selection: Selection) -> Pruned:
        """Note it."""
        self.calls.append(("containers", selection))
        return self.pruned

    def prune_cache(self, *, all: bool, takes: Callable[[CacheRecord], bool], space: Space = NO_LIMIT) -> Pruned:
        """Note it, and which of the records are taken."""
        self.calls.append(("cache", all, [record.id for record in self.used.cache if takes(record)], space))
        return self.pruned


@dataclass
class FakeHistory:
    """Counts the steps of the builds that the test gave."""

    builds: list[BuildRecord]

    def counts(self) -> dict[str, tuple[int, int]]:
        """All steps, and those from the cache."""
        return {
            build.id: (len(build.steps), sum(step.state is StepState.CACHED for step in build.steps))
            for build in self.builds
        }


@dataclass
class FakePast:
    """The builds and the state that the test gave, and what was asked for."""

    all: list[BuildRecord] = field(default_factory=list)
    image_config: ImageConfig = field(default_factory=lambda: ImageConfig("amd64", "linux"))
    difference: Difference = field(default_factory=lambda: Difference(()))
    asked: list[tuple[str, str | bool]] = field(default_factory=list)

    @property
    def history(self) -> FakeHistory:
        """Of the same builds."""
        return FakeHistory(self.all)

    def builds(self) -> list[BuildRecord]:
        """All."""
        return self.all

    def build(self, name: str = "") -> BuildRecord:
        """The first."""
        return self.all[0]

    def state(self, name: str = "", *, before: bool = False) -> states.State:
        """A state of this image."""
        self.asked.append((name, before))
        return states.State(name, self.image_config)

    @contextmanager
    def image(self, state: states.State) -> Iterator[FakeImage]:
        """An image."""
        yield FakeImage()

    def diff(self, before: str, after: str) -> Difference:
        """The difference that the test gave."""
        self.asked.append((before, after))
        return self.difference


@dataclass
class FakeAccounts:
    """Credentials by registry, and what was asked of them; "wrong" is nobody's password."""

    known: dict[str, Credentials] = field(default_factory=dict)
    helper: str = ""
    elsewhere: tuple[str, ...] = ()
    hidden: bool = False
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def find(self, name: str) -> Credentials | None:
        """What the test gave."""
        return self.known.get(name)


@dataclass
class FakeEngine:
    """All of it."""

    containers: FakeContainers = field(default_factory=FakeContainers)
    images: FakeImages = field(default_factory=FakeImages)
    past: FakePast = field(default_factory=FakePast)
    builds: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[LintWarning, ...] = ()
    events: tuple[Event, ...] = ()
    fails: Exception | None = None
    closed: bool = False
    upkeep: FakeUpkeep = field(default_factory=FakeUpkeep)
    volumes: Volumes | None = None
    registry: FakeRegistries = field(default_factory=FakeRegistries)
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    journal: Journal = NOWHERE

    def login(self, registry: str = "", username: str = "", password: str = "") -> Login:
        """Note it; who comes without a name has the known password."""
        self.accounts.calls.append(("login", registry, username, password))
        known = self.accounts.known.get(registry, Credentials())
        if (password or known.password) == "wrong":
            raise Unauthorized("the registry says no", status=401)
        return Login(
            registry,
            username or known.username,
            Path("/home/ann/config.json"),
            self.accounts.helper,
            self.accounts.hidden,
        )

    def logout(self, registry: str = "") -> Logout:
        """Note it; only the known were logged in."""
        self.accounts.calls.append(("logout", registry))
        return Logout(registry, registry in self.accounts.known, self.accounts.elsewhere)

    def build(self, dockerfile: str, *, on_event: OnEvent = ignore, **options: Any) -> FakeImage:
        """Report the events, then fail or give an image."""
        self.builds.append({"dockerfile": dockerfile, **options})
        for event in self.events:
            on_event(event)
        if self.fails is not None:
            raise self.fails
        return FakeImage()

    def remotes(self, *, keep_git_dir: bool = False, secrets: Mapping[str, bytes] | None = None) -> Remotes:
        """True ones, in the directory for temporary files."""
        return Remotes(Workspaces(Path(tempfile.gettempdir())), keep_git_dir=keep_git_dir, secrets=secrets)

    def check(self, dockerfile: str, **options: Any) -> tuple[LintWarning, ...]:
        """Give the warnings of the test."""
        self.checks.append({"dockerfile": dockerfile, **options})
        return self.warnings

    def info(self) -> dict[str, str]:
        """Two facts."""
        return {"version": "0.1.0", "root": "/somewhere"}

    def close(self) -> None:
        """Note it."""
        self.closed = True


class FakeConsole:
    """Keeps what it is given."""

    def __init__(self, stdin: int | None = None, stdout: int | None = None, *, typing: bool = False) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.typing = typing
        self.embeds = False
        self.embedded: list[str] = []  # titles
        self.given: list[tuple[bool, bool]] = []  # raw and proxy, each time it was given over
        self.streams = {"stdout": b"", "stderr": b""}
        self.events: list[Event] = []
        self.shown: list[object] = []
        self.style: ProgressStyle | None = None
        self.answers: list[str] = []  # to what is asked, in order
        self.asked: list[tuple[str, bool]] = []

    def write(self, stream: str, data: bytes) -> None:
        """Keep bytes."""
        self.streams[stream] += data

    @contextmanager
    def watching(self, style: ProgressStyle | None = None) -> Iterator[OnEvent]:
        """Keep events; output goes to the streams."""
        self.style = style

        def on_event(event: Event) -> None:
            self.events.append(event)
            if isinstance(event, ContainerOutput):
                self.write(event.stream, event.data)

        yield on_event

    def ask(self, prompt: str, *, secret: bool = False) -> str | None:
        """The next answer; nobody can be asked where there are none."""
        self.asked.append((prompt, secret))
        return self.answers.pop(0) if self.answers else None

    def window(self) -> ConsoleSize | None:
        """A size of its own."""
        return ConsoleSize(25, 81)

    def embed(self, title: str, follow: Callable[[Attachment, OnEvent], int], wanted: Attachment) -> None:
        """Note the title, and see the process through."""
        self.embedded.append(title)
        follow(wanted, self.events.append)

    @contextmanager
    def given_over(self, controls: Controls, *, raw: bool, proxy: bool) -> Iterator[None]:
        """Note it."""
        self.given.append((raw, proxy))
        yield

    @contextmanager
    def renewing(self) -> Iterator[Callable[[object], None]]:
        """Keep what was shown."""
        yield self.shown.append
