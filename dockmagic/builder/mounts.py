"""What the --mount flags of a RUN come to: one value a mount, whose fields are part of the step's cache key. Pure.

What a bind mount shows stands in the key by its digest, what a cache, a secret or an agent holds not at all. Source:
Dockerfile reference, "RUN --mount"; BuildKit for defaults and for targets relative to WORKDIR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from dockmagic.builder import paths
from dockmagic.builder.plan import Origin
from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.mounts import MountError, RunMount, mount_of

SECRETS: Final = "/run/secrets"
AGENTS: Final = "/run/buildkit/ssh_agent"


@dataclass(frozen=True, slots=True)
class BindMount:
    """Show `source` of the context (`origin` None), a stage or an image; what is written to it is thrown away."""

    target: str
    read_only: bool
    source: str = field(metadata={"key": False})  # the content's digest stands for both
    origin: Origin = field(default=None, metadata={"key": False})


@dataclass(frozen=True, slots=True)
class CacheMount:
    """Show a directory that outlives the build; `from_` "" is an empty one to begin with, else `origin` is its base."""

    target: str
    read_only: bool
    id: str
    sharing: str
    source: str = ""
    from_: str = ""
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    origin: Origin = field(default=None, metadata={"key": False})


@dataclass(frozen=True, slots=True)
class TmpfsMount:
    """An empty file system in memory; `size_bytes` None is the kernel's default, half of the memory."""

    target: str
    read_only: bool
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class SecretMount:
    """Show a secret as a file at `target`, as the variable `env`, or both; "" for neither."""

    id: str
    target: str
    env: str
    required: bool
    mode: int = 0o400
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class SshMount:
    """Show the socket of an SSH agent at `target`."""

    id: str
    target: str
    required: bool
    mode: int = 0o600
    uid: int = 0
    gid: int = 0


AnyMount: TypeAlias = BindMount | CacheMount | TmpfsMount | SecretMount | SshMount


def run_mounts(
    instruction: df.Run, workdir: str, origins: Mapping[str, Origin], cache_id: Callable[[str], str] = str
) -> tuple[AnyMount, ...]:
    """The mounts of a RUN whose variables are replaced, in its order; raises DockerfileError.

    `cache_id` gives the id of a cache in this build.
    """
    mounts: list[AnyMount] = []
    for index, options in enumerate(instruction.mounts):
        try:
            agents = sum(isinstance(each, SshMount) for each in mounts)
            mount = _mount(mount_of(options), workdir, origins, agents)
            mounts.append(replace(mount, id=cache_id(mount.id)) if isinstance(mount, CacheMount) else mount)
        except MountError as error:
            raise instruction.mount_fault(index, str(error)) from None
    return tuple(mounts)


def _mount(mount: RunMount, workdir: str, origins: Mapping[str, Origin], agents: int) -> AnyMount:
    """What the options mean, after so many `agents`; raises MountError."""
    if mount.type == "ssh":
        return _ssh(mount, workdir, agents)
    if mount.type == "secret":
        return _secret(mount, workdir)
    target = paths.absolute(workdir, mount.target)
    if target == "/":
        raise MountError(f"invalid mount target {mount.target!r}: nothing can be mounted on /", "target")
    read_only = bool(mount.read_only)
    if mount.type == "tmpfs":
        return TmpfsMount(target, read_only, mount.size_bytes or None)
    origin = origins[mount.from_] if mount.from_ else None
    if mount.type == "bind":
        return BindMount(target, read_only, mount.source, origin)
    return CacheMount(
        target=target,
        read_only=read_only,
        id=mount.id or _cleaned(mount.target),
        sharing=mount.sharing or "shared",
        source=paths.relative(mount.source),
        from_=mount.from_,
        mode=mount.mode,
        uid=mount.uid,
        gid=mount.gid,
        origin=origin,
    )


def _secret(mount: RunMount, workdir: str) -> SecretMount:
    """A file in SECRETS unless a target or a variable is asked for; the variable has the secret's name by default."""
    name = mount.id or mount.source or paths.name(paths.relative(mount.target))
    target = paths.absolute(workdir, mount.target) if mount.target else ""
    if mount.env is None and not target:
        target = f"{SECRETS}/{paths.name(paths.relative(name))}"
    if target == "/":
        raise MountError(f"invalid mount target {mount.target!r}: a secret is a file; name one", "target")
    return SecretMount(
        id=name,
        target=target,
        env="" if mount.env is None else mount.env or name,
        required=bool(mount.required),
        mode=0o400 if mount.mode is None else mount.mode,
        uid=mount.uid or 0,
        gid=mount.gid or 0,
    )


def _ssh(mount: RunMount, workdir: str, number: int) -> SshMount:
    """A socket of its own for each mount; `number` counts them from 0."""
    target = paths.absolute(workdir, mount.target) if mount.target else f"{AGENTS}.{number}"
    if target == "/":
        raise MountError(f"invalid mount target {mount.target!r}: an agent's socket is a file; name one", "target")
    return SshMount(
        id=mount.id or "default",
        target=target,
        required=bool(mount.required),
        mode=0o600 if mount.mode is None else mount.mode,
        uid=mount.uid or 0,
        gid=mount.gid or 0,
    )


def _cleaned(target: str) -> str:
    """The name of a cache that has none: its target as written, without what means nothing in a path."""
    return ("/" if target.startswith("/") else "") + paths.relative(target) or "."
