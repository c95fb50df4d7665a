"""The mounts of one RUN made real: what they show is found and hashed, and put in place while the command runs.

Files of the build context are copied, so that the command sees what the key says, less what .dockerignore excludes.
Stages and images are shown as they are, through an overlay that takes what is written and goes with the step.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dockmagic.builder.attributes import Attributes, Owner, apply, attributes_of
from dockmagic.builder.caches import Caches, Wanted
from dockmagic.builder.content import FileHashes, content_digest, file_digests
from dockmagic.builder.files import CopyRules, copy
from dockmagic.builder.forwarding import forwarded
from dockmagic.builder.mounts import AnyMount, BindMount, CacheMount, SecretMount, SshMount, TmpfsMount
from dockmagic.builder.plan import Origin as OriginName
from dockmagic.builder.sources import Origin, find_source, locate
from dockmagic.builder.tree import Found
from dockmagic.builder.upper import Upper
from dockmagic.dockerfile import instructions as df
from dockmagic.errors import BuildError
from dockmagic.linux.files import RESOLVE_IN_ROOT, openat2
from dockmagic.oci.spec import Mount, Overlay

_COPY: Final = "copy"
_AGENT_VARIABLE: Final = "SSH_AUTH_SOCK"
OnWait = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Supplies:
    """What mounts need besides the step itself. `secrets` maps ids to contents, `agents` to sockets."""

    caches: Caches
    hashes: FileHashes
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    agents: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placed:
    """Mounts and variables for the command; `certain` unless a file changed while it was copied.

    Variables of the image come before those of `defaults`.
    """

    mounts: tuple[Mount, ...] = ()
    env: tuple[str, ...] = field(default=(), repr=False)
    defaults: Mapping[str, str] = field(default_factory=dict)
    certain: bool = True


@dataclass(frozen=True, slots=True)
class _View:
    """What a mount shows or begins with: a place in an origin, and the digest that stands for all in it."""

    origin: Origin
    top: Found
    name: str
    digest: str


class Mounting:
    """The mounts of one step; `origin_of` gives what an origin's name means."""

    def __init__(
        self,
        instruction: df.Run,
        mounts: tuple[AnyMount, ...],
        supplies: Supplies,
        origin_of: Callable[[OriginName], Origin],
    ) -> None:
        """Look at what the mounts show; raises DockerfileError where that isn't there."""
        self._instruction = instruction
        self._mounts = mounts
        self._supplies = supplies
        self._views = {
            index: self._view(index, mount, origin_of)
            for index, mount in enumerate(mounts)
            if isinstance(mount, BindMount) or (isinstance(mount, CacheMount) and mount.from_)
        }

    @property
    def content(self) -> str:
        """Digest of all that is shown, "" for nothing: the part of the step's key that the mounts' words don't have."""
        digests = [view.digest for view in self._views.values()]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest() if digests else ""

    def files(self) -> dict[str, str]:
        """Digests by path of the files that are shown, as far as they were looked at one by one."""
        hashes, digests = self._supplies.hashes, dict[str, str]()
        for view in self._views.values():
            if not view.origin.identity:
                source = find_source(view.origin, view.name)
                digests |= file_digests([source], hashes, root_owned=view.origin.root_owned)
        return digests

    @contextmanager
    def placed(self, workspace: Path, on_wait: OnWait) -> Iterator[Placed]:
        """All ready to be mounted, as long as the block lasts; raises DockerfileError, BuildError, StoreError."""
        env, certain, agents = list[str](), True, list[Mount]()
        with ExitStack() as stack:
            mounts = self._place_caches(stack, on_wait)
            for index, mount in enumerate(self._mounts):
                match mount:
                    case BindMount():
                        directory = workspace / f"mount-{index}"
                        directory.mkdir()
                        bound, unchanged = _bind(mount, self._views[index], directory)
                        mounts, certain = [*mounts, bound], certain and unchanged
                    case SecretMount():
                        files, variables = self._secret(index, mount)
                        mounts, env = [*mounts, *files], [*env, *variables]
                    case SshMount():
                        agents += self._agent(index, mount, workspace, stack)
                    case TmpfsMount():
                        mounts.append(_tmpfs(mount))
            ordered = tuple(sorted([*mounts, *agents], key=lambda mount: mount.destination))
            defaults = {_AGENT_VARIABLE: agents[0].destination} if agents else {}
            yield Placed(ordered, tuple(env), defaults, certain)

    def _view(self, index: int, mount: AnyMount, origin_of: Callable[[OriginName], Origin]) -> _View:
        assert isinstance(mount, BindMount | CacheMount)
        try:
            origin = origin_of(mount.origin)
            top = locate(origin, mount.source)
            if origin.identity:
                digest = f"{origin.identity} {top.path}"
            else:
                source = find_source(origin, mount.source)
                digest = content_digest([source], self._supplies.hashes, root_owned=origin.root_owned)
        except BuildError as error:
            raise self._instruction.mount_fault(index, str(error)) from error
        if isinstance(mount, CacheMount) and not top.is_dir:
            message = f'"{mount.source}" isn\'t a directory, so no cache can begin with it; name one'
            raise self._instruction.mount_fault(index, message)
        return _View(origin, top, mount.source, digest)

    def _place_caches(self, stack: ExitStack, on_wait: OnWait) -> list[Mount]:
        """The caches, locked until the stack unwinds."""
        wanted = {
            index: _wanted(mount, self._views.get(index))
            for index, mount in enumerate(self._mounts)
            if isinstance(mount, CacheMount)
        }
        trees = stack.enter_context(self._supplies.caches.use(list(wanted.values()), on_wait)) if wanted else {}
        mounts = []
        for index, each in wanted.items():
            mount = self._mounts[index]
            assert isinstance(mount, CacheMount)
            place = str(trees[each.key])
            if mount.source and not mount.from_:
                place = self._inside(index, mount, place, stack)
            mounts.append(Mount(mount.target, "bind", place, ("bind", _access(mount.read_only))))
        return mounts

    def _inside(self, index: int, mount: CacheMount, tree: str, stack: ExitStack) -> str:
        """A place in a cache, by a descriptor: other users of the cache could put a link in the way of a path."""
        root = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root)
        try:
            place = openat2(root, mount.source, os.O_PATH, 0, RESOLVE_IN_ROOT)
        except OSError as error:
            message = f'"{mount.source}" in the cache {mount.id}: {error.strerror}; make it in a RUN before'
            raise self._instruction.mount_fault(index, message) from error
        stack.callback(os.close, place)
        return f"/proc/{os.getpid()}/fd/{place}"

    def _secret(self, index: int, mount: SecretMount) -> tuple[list[Mount], list[str]]:
        """A secret as a file and as a variable, as far as wanted; nothing for one that isn't given nor required."""
        content = self._supplies.secrets.get(mount.id)
        if content is None:
            if mount.required:
                hint = f"give it to the build: --secret id={mount.id},src=FILE or --secret id={mount.id},env=NAME"
                raise self._instruction.mount_fault(index, f'the secret "{mount.id}" is required; {hint}')
            return [], []
        if mount.env and b"\0" in content:
            message = f'the secret "{mount.id}" has a zero byte in it, so it can\'t be a variable; leave env out'
            raise self._instruction.mount_fault(index, message)
        options = (f"mode={mount.mode:o}", f"uid={mount.uid}", f"gid={mount.gid}", "ro")
        file = Mount(mount.target, "tmpfs", "tmpfs", options, content=base64.b64encode(content).decode())
        variable = f"{mount.env}={content.decode('utf-8', 'surrogateescape')}"
        return [file] if mount.target else [], [variable] if mount.env else []

    def _agent(self, index: int, mount: SshMount, workspace: Path, stack: ExitStack) -> list[Mount]:
        """A socket that leads to the agent until the stack unwinds; none for one that isn't given nor required."""
        agent = self._supplies.agents.get(mount.id)
        if agent is None:
            if mount.required:
                message = f'no SSH key "{mount.id}" forwarded from the client; build with --ssh {mount.id}'
                raise self._instruction.mount_fault(index, message)
            return []
        place = workspace / f"agent-{index}"
        try:
            stack.enter_context(forwarded(agent, place, Owner(mount.uid, mount.gid), mount.mode))
        except BuildError as error:
            raise self._instruction.mount_fault(index, str(error)) from error
        return [Mount(mount.target, "bind", str(place), ("bind", "rw"))]


def _access(read_only: bool) -> str:
    return "ro" if read_only else "rw"


def _tmpfs(mount: TmpfsMount) -> Mount:
    size = () if mount.size_bytes is None else (f"size={mount.size_bytes}",)
    return Mount(mount.target, "tmpfs", "tmpfs", ("nosuid", _access(mount.read_only), *size))


def _bind(mount: BindMount, view: _View, directory: Path) -> tuple[Mount, bool]:
    """A mount of the view whose changes stay in the directory; and whether the view hadn't changed."""
    access = _access(mount.read_only)
    if view.origin.root_owned or not (view.top.is_dir or mount.read_only):
        unchanged = _copy(view, directory)
        return Mount(mount.target, "bind", str(directory / _COPY), ("bind", access)), unchanged
    if not view.top.is_dir:
        return Mount(mount.target, "bind", view.top.location, ("bind", access)), True
    upper, work = directory / "upper", directory / "work"
    upper.mkdir()
    work.mkdir()
    apply(upper, attributes_of(view.top))
    overlay = Overlay(view.origin.tree.directories(view.top.path), str(upper), str(work), volatile=True)
    return Mount(mount.target, "overlay", "overlay", (access,), overlay), True


def _copy(view: _View, directory: Path, name: str = _COPY) -> bool:
    """Copy what is seen to `name` in the directory; whether it hadn't changed since it was found."""
    root_owned = view.origin.root_owned
    destination = f"/{name}/" if view.top.is_dir else f"/{name}"
    rules = CopyRules(destination, root_owned=root_owned)
    try:
        unchanged = copy([find_source(view.origin, view.name)], (), Upper(directory, ()), rules)
        apply(directory / name, rules.attributes(attributes_of(view.top)))
    except OSError as error:
        raise BuildError(f"cannot copy {view.name or 'the files'} for a mount: {error.strerror}") from error
    return unchanged


def _wanted(mount: CacheMount, view: _View | None) -> Wanted:
    """The cache that a mount asks for; one with a base or an owner of its own is another one."""

    def fill(tree: Path) -> None:
        if view is not None:
            _copy(view, tree.parent, tree.name)
        if owned:
            found = tree.stat()
            uid = found.st_uid if mount.uid is None else mount.uid
            gid = found.st_gid if mount.gid is None else mount.gid
            mode = found.st_mode & 0o7777 if mount.mode is None else mount.mode
            apply(tree, Attributes(mode, Owner(uid, gid), found.st_mtime_ns))

    owned = not (mount.source and view is None) and (mount.mode, mount.uid, mount.gid) != (None, None, None)
    owner = (mount.mode, mount.uid, mount.gid) if owned else (None, None, None)
    return Wanted(mount.id, mount.sharing, (None if view is None else view.digest, *owner), fill)
