"""How the flags of a build, and build arguments that stand for flags, want its RUN steps to run. Pure.

Source: docker build's reference; Dockerfile reference, "BuildKit built-in build args"; BuildKit's entitlements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from dockmagic.dockerfile import instructions as df
from dockmagic.errors import DockerfileError, InvalidOption
from dockmagic.oci.options import RunOptions
from dockmagic.oci.spec import Rlimit

HOST_NETWORK: Final = "network.host"
INSECURE: Final = "security.insecure"
ENTITLEMENTS: Final = (HOST_NETWORK, INSECURE)

HOSTNAME_ARG: Final = "BUILDKIT_SANDBOX_HOSTNAME"
CACHES_ARG: Final = "BUILDKIT_CACHE_MOUNT_NS"
GIT_DIR_ARG: Final = "BUILDKIT_CONTEXT_KEEP_GIT_DIR"
SYNTAX_ARG: Final = "BUILDKIT_SYNTAX"
INLINE_CACHE_ARG: Final = "BUILDKIT_INLINE_CACHE"
MULTI_PLATFORM_ARG: Final = "BUILDKIT_MULTI_PLATFORM"
RESERVED_ARGS: Final = frozenset(
    (HOSTNAME_ARG, CACHES_ARG, GIT_DIR_ARG, SYNTAX_ARG, INLINE_CACHE_ARG, MULTI_PLATFORM_ARG)
)
_TRUE: Final = ("1", "t", "true")
_FALSE: Final = ("", "0", "f", "false")
_OWN_SYNTAX: Final = ("docker/dockerfile", "docker/dockerfile-upstream")
_REFUSED: Final = {
    INLINE_CACHE_ARG: "images carry no cache; the local one is always used",
    MULTI_PLATFORM_ARG: "an image is built for one platform, and stored without an index around it",
}


@dataclass(frozen=True, slots=True)
class ExtraHost:
    """A line for /etc/hosts. As with BuildKit another address makes no other step."""

    name: str
    address: str = field(metadata={"key": False}, repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a step may use of the machine, which has no part in what it makes; None and "" are no limit."""

    memory_bytes: int | None = None
    memory_swap_bytes: int | None = None
    cpu_shares: int | None = None
    cpu_period_us: int | None = None
    cpu_quota_us: int | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What all RUN steps of a build have in common. `hostname` "" is the usual one; `allow` are entitlements."""

    extra_hosts: tuple[ExtraHost, ...] = ()
    hostname: str = ""
    shm_size_bytes: int = 64 << 20
    ulimits: tuple[Rlimit, ...] = ()
    limits: Limits = field(default_factory=Limits, metadata={"key": False}, repr=False)
    allow: frozenset[str] = field(default_factory=frozenset, metadata={"key": False}, repr=False)

    def applied(self, options: RunOptions) -> RunOptions:
        """The options of a step, with these settings."""
        limits = self.limits
        return replace(
            options,
            extra_hosts=tuple((host.name, host.address) for host in self.extra_hosts),
            hostname=self.hostname,
            shm_size_bytes=self.shm_size_bytes,
            ulimits=self.ulimits,
            memory_bytes=limits.memory_bytes,
            memory_swap_bytes=limits.memory_swap_bytes,
            cpu_shares=limits.cpu_shares,
            cpu_period_us=limits.cpu_period_us,
            cpu_quota_us=limits.cpu_quota_us,
            cpuset_cpus=limits.cpuset_cpus,
            cpuset_mems=limits.cpuset_mems,
        )

    def check(self, instruction: df.Instruction) -> None:
        """Raise DockerfileError for a RUN that asks for more than the build allows."""
        if not isinstance(instruction, df.Run):
            return
        if instruction.security == "insecure" and INSECURE not in self.allow:
            raise _missing(instruction, "--security=insecure", f"--allow {INSECURE}")
        if instruction.network == "host" and HOST_NETWORK not in self.allow:
            raise _missing(instruction, "--network=host", f"--allow {HOST_NETWORK} or --network host")


def check_reserved(given: Mapping[str, str]) -> None:
    """Raise InvalidOption for a build argument of BuildKit's that asks for what can't be done here."""
    for name, reason in _REFUSED.items():
        if truth(given, name):
            raise InvalidOption(f"--build-arg {name}: it isn't available: {reason}")
    truth(given, GIT_DIR_ARG)
    syntax = given.get(SYNTAX_ARG, "")
    if syntax and syntax.removeprefix("docker.io/").partition("@")[0].partition(":")[0] not in _OWN_SYNTAX:
        reason = f"the Dockerfile is always read by dockmagic itself, which knows the language of {_OWN_SYNTAX[0]}"
        raise InvalidOption(f"--build-arg {SYNTAX_ARG}={syntax}: {reason}")


def truth(given: Mapping[str, str], name: str) -> bool:
    """Whether the argument is given as true; raises InvalidOption for what is neither true nor false."""
    text = given.get(name, "").lower()
    if text not in (*_TRUE, *_FALSE):
        raise InvalidOption(f"--build-arg {name}={given[name]} is neither true nor false; write 1 or 0")
    return text in _TRUE


def _missing(instruction: df.Run, flag: str, remedy: str) -> DockerfileError:
    message = f"RUN {flag} isn't allowed in this build; if you trust the Dockerfile, build with {remedy}"
    return DockerfileError(message, line=instruction.line, end_line=instruction.end_line)
