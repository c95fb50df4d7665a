"""The container's process 1, from its birth in new namespaces to the program that it becomes.

It has two halves. `prepare` needs no container: mount namespace reduced to the state root, /dev, /proc and /sys made
ready, loopback up, cgroup joined. A process can wait behind it, as a sandbox. `start` takes a spec and finishes: root
file system, pivot_root, mounts, names, and `process.become`.

    "/" of a sandbox (a tmpfs)      state/    the state root, where layers and upper directories are
                                    stage/    /dev, /proc and /sys, to be moved into the root file system
                                    rootfs/   where the root file system is put together
"""

from __future__ import annotations

import base64
import contextlib
import errno
import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NoReturn

from dockmagic.errors import Failure
from dockmagic.linux import mount as m
from dockmagic.linux import process as p
from dockmagic.linux.interfaces import link_up
from dockmagic.oci.codec import decode, encode
from dockmagic.oci.spec import Mount, Overlay, Root, Spec
from dockmagic.runtime import attached, composed, process, protocol, reaper, rootfs, sysctl, terminal
from dockmagic.runtime.cgroup.group import Group
from dockmagic.runtime.overlay import mount_overlay
from dockmagic.runtime.stage import Failed, stage
from dockmagic.runtime.stubs import Stubs, make_stub
from dockmagic.trees import remove_tree

STAGE: Final = "/stage"
ROOTFS: Final = "/rootfs"
STATE: Final = "/state"
CONTAINER_MARK: Final = "/.dockerenv"  # programs look for it to tell that they are in a container
Trees = dict[str, tuple[rootfs.Operation, ...]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sandbox lives: the state root, a directory to mount its own root on, and its cgroup."""

    state_root: str
    mount_point: str
    group: Group
    in_v2: bool  # cloned into the cgroup2 group already
    own_network: bool
    own_cgroup: bool


def prepare(place: Place, trees: Trees, parameters: Mapping[str, str]) -> dict[str, str]:
    """First half: with the kernel's parameters of a network of its own; what they were before. Raises Failed."""
    before: dict[str, str] = {}
    os.setsid()
    with stage("cgroup", "join the cgroup"):
        place.group.attach_self(in_v2=place.in_v2)
        if place.own_cgroup:
            p.unshare(p.CLONE_NEWCGROUP)
    if place.own_network:
        with stage("network", "switch the loopback interface on"):
            link_up("lo")
            before = sysctl.preset(parameters)
    with stage("sandbox", "prepare the sandbox's own root"):
        _leave_the_host(place)
    for tree, operations in trees.items():
        make_tree(tree, operations)
    return before


def _leave_the_host(place: Place) -> None:
    """Keep nothing of the host's mounts but the state root, so that no other file system is held busy.

    From here on no module can be imported: it would be one of the container's.
    """
    sys.meta_path.clear()
    m.mount("", "/", "", m.MS_REC | m.MS_PRIVATE)
    m.mount("tmpfs", place.mount_point, "tmpfs", m.MS_NOSUID | m.MS_NODEV, "mode=700,size=1m")
    for name in (STATE, STAGE, ROOTFS):
        os.mkdir(place.mount_point + name)
    m.mount(place.state_root, place.mount_point + STATE, "", m.MS_BIND | m.MS_REC)
    os.chdir(place.mount_point)
    _pivot()


def _pivot() -> None:
    """Make the working directory the root. With the same directory twice the old root lies on top, and is taken off."""
    m.pivot_root(".", ".")
    m.umount2(".", m.MNT_DETACH)
    os.chdir("/")


def make_tree(tree: str, operations: Sequence[rootfs.Operation]) -> None:
    """Make one of the staged trees; raises Failed."""
    with stage("mounts", f"make {tree}"):
        for operation in operations:
            operation.execute(STAGE)


def _change_trees(made: Trees, wanted: Trees) -> None:
    """Replace the staged trees that aren't as they are wanted; raises Failed."""
    for tree in reversed(made):
        if made[tree] != wanted.get(tree):
            with stage("mounts", f"replace {tree}"):
                m.umount2(STAGE + tree, m.MNT_DETACH)
    for tree, operations in wanted.items():
        if made.get(tree) != operations:
            make_tree(tree, operations)


def _change_parameters(before: Mapping[str, str], usual: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Set the kernel's parameters that aren't as they are wanted, or as they were `before`; raises Failed."""
    preset = {name: usual[name] for name in before}
    if changes := {**before, **wanted}.items() - preset.items():
        with stage("sysctl", "set kernel parameters"):
            sysctl.set_parameters(dict(changes), STAGE)


def start(
    spec: Spec,
    cgroups: Sequence[rootfs.CgroupMount],
    made: Trees,
    wanted: Trees,
    descriptors: Sequence[int],
    sync: socket.socket,
    area: tuple[int, int],
) -> NoReturn:
    """Second half. `descriptors`: standard input, output, error, then a detached mount for each bind mount in order.

    Reports "ready" with the names that it had to make in the image's tree, and the terminal that it made, waits for
    "go", and becomes the process. `area` is where its arguments are. Raises Failed.
    """
    binds = iter(descriptors[3:])
    attached.check(spec.mounts)
    _change_trees(made, wanted)
    _mount_root(spec, binds)
    shown = _shown(spec, binds, cgroups)
    stubs: Stubs = []
    _enter_root(wanted.keys() - rootfs.replaced_trees(spec), stubs)
    _finish_root(spec, shown, stubs)
    stdio, ends = (descriptors[0], descriptors[1], descriptors[2]), tuple[int, ...]()
    if spec.process.terminal:
        stdio, ends = _terminal(spec)
    protocol.send(sync, {"event": "ready", "stubs": stubs}, ends)
    if protocol.receive(sync)[0] is None:
        os._exit(1)
    with stage("keyring", "join a session keyring"):
        p.join_session_keyring()
    filter_program = base64.b64decode(spec.linux.seccomp_filter)
    if spec.init:
        reaper.supervise(area, partial(process.confine, spec.process, filter_program))
    if spec.process.terminal:
        with stage("terminal", "control the terminal"):
            terminal.take_control(stdio[0])
    process.become(spec.process, filter_program, stdio, sync.fileno())


def _enter_root(trees: Iterable[str], stubs: Stubs) -> None:
    """Move the trees into the root file system, and make it the root; raises Failed."""
    with stage("rootfs", "enter the root file system"):
        for tree in trees:
            _move_tree(tree, stubs)
        os.chdir(ROOTFS)
        _pivot()


def _terminal(spec: Spec) -> tuple[tuple[int, int, int], tuple[int, int]]:
    """Make the process's terminal and its console: its three streams, and the two ends; raises Failed."""
    with stage("terminal", "make a terminal"):
        pair = terminal.open_pair(spec.process.console_size)
        terminal.make_console(pair.slave)
    return (pair.slave, pair.slave, pair.slave), (pair.master, pair.slave)


def _mount_root(spec: Spec, binds: Iterator[int]) -> None:
    """Put the image's tree on ROOTFS: an overlay, or a directory of the host."""
    if spec.root.overlay is None:
        with stage("rootfs", f"mount the root {spec.root.path}"):
            m.move_mount(next(binds), "", m.AT_FDCWD, ROOTFS, m.MOVE_MOUNT_F_EMPTY_PATH)
        return
    with stage("rootfs", "mount the layers"):
        mount_overlay(spec.root.overlay, ROOTFS)


def _inside(spec: Spec, state_root: str) -> Spec:
    """The spec with its layers' directories as the sandbox sees them; raises Failed."""
    if spec.root.overlay is not None:
        spec = replace(spec, root=replace(spec.root, overlay=within(state_root, spec.root.overlay)))
    mounts = tuple(
        mount if mount.overlay is None else replace(mount, overlay=within(state_root, mount.overlay))
        for mount in spec.mounts
    )
    return replace(spec, mounts=mounts)


def within(state_root: str, overlay: Overlay) -> Overlay:
    """The overlay with its directories as the sandbox sees them; raises Failed for one outside the state root."""

    def moved(path: str) -> str:
        if path and not path.startswith(state_root + "/"):
            raise Failed(Failure("rootfs", errno.EXDEV, f"{path} is not below the state root {state_root}"))
        return path and STATE + path.removeprefix(state_root)

    lower = tuple(moved(path) for path in overlay.lower)
    return Overlay(lower, moved(overlay.upper), moved(overlay.work), overlay.volatile)


def _move_tree(tree: str, stubs: Stubs) -> None:
    """Move a staged tree to its place, which must be a true directory: a link there would lead it elsewhere."""
    target = ROOTFS + tree
    try:
        mode = os.lstat(target).st_mode
    except FileNotFoundError:
        make_stub(ROOTFS, tree, directory=True, stubs=stubs)
        mode = stat.S_IFDIR
    if not stat.S_ISDIR(mode):
        reason = f"{tree} of the image is not a directory; a container can't be started on it"
        raise Failed(Failure("rootfs", errno.ENOTDIR, reason))
    m.mount(STAGE + tree, target, "", m.MS_MOVE)


def _shown(spec: Spec, binds: Iterator[int], cgroups: Sequence[rootfs.CgroupMount]) -> list[int]:
    """A detached mount for each one to attach, in order."""
    shown = []
    for mount in rootfs.attached(spec):
        if rootfs.is_bind(mount) and not rootfs.is_composed(mount):
            shown.append(next(binds))
            continue
        with stage("mounts", f"make what is mounted on {mount.destination}"):
            shown.append(composed.make(mount, cgroups))
    return shown


def _finish_root(spec: Spec, shown: Sequence[int], stubs: Stubs) -> None:
    """What can only be done inside the root: mounts on the image's own paths, masks, names, write protection."""
    for mount, source in zip(rootfs.attached(spec), shown, strict=True):
        with stage("mounts", f"mount {mount.destination}"):
            attached.attach(mount, source, stubs)
    with stage("rootfs", "finish the root file system"):
        if not os.path.lexists(CONTAINER_MARK):
            make_stub("", CONTAINER_MARK, directory=False, stubs=stubs)
        replaced = rootfs.replaced_trees(spec)
        for path in rootfs.hidden(spec):
            if rootfs.tree_of(path.target) in ("", *replaced):
                path.execute("")
        if spec.root.readonly:
            m.mount("", "/", "", m.MS_BIND | m.MS_REMOUNT | m.MS_RDONLY)
    with stage("hostname", "set the host name"):
        if spec.hostname:
            p.sethostname(spec.hostname)
        if spec.domainname:
            p.setdomainname(spec.domainname)


def run(place: Place, usual: Spec, sync: socket.socket, bell: int, cgroups: Sequence[rootfs.CgroupMount]) -> NoReturn:
    """The whole life of process 1 in Python: prepare for the usual spec, wait for the true one, start.

    A failure is reported, never raised.
    """
    try:
        p.prctl(p.PR_SET_PDEATHSIG, signal.SIGKILL)
        p.set_name("dockmagic-init")
        _run(place, usual, sync, bell, cgroups)
    except Exception as error:
        protocol.send(sync, protocol.failed(process.unexpected("init", error)))
    finally:
        os._exit(1)


def _run(place: Place, usual: Spec, sync: socket.socket, bell: int, cgroups: Sequence[rootfs.CgroupMount]) -> NoReturn:
    made = rootfs.staged(usual, cgroups)
    area = p.argument_area()
    before: dict[str, str] = {}
    failure: Failed | None = None
    try:
        before = prepare(place, made, usual.linux.sysctl)
    except Failed as error:  # told to the first who asks for this sandbox
        failure = error
    rehearse(usual)
    # A message on a socket wakes its reader on the sender's own processor, where the sender isn't done yet.
    os.eventfd_read(bell)
    message, descriptors = protocol.receive(sync)
    if message is None:
        os._exit(0)
    if failure is not None:
        raise failure
    spec = decode(Spec, json.loads(protocol.read_memory_file(descriptors[0])))
    spec = _inside(spec, place.state_root)
    wanted = made if rootfs.same_trees(spec, usual) else rootfs.staged(spec, cgroups)
    sources = protocol.receive(sync)[1]
    _change_parameters(before, usual.linux.sysctl, spec.linux.sysctl)
    start(spec, cgroups, made, wanted, (*descriptors[1:], *sources), sync, area)


def rehearse(usual: Spec) -> None:
    """Do once, on things of no importance, what a start does; nothing of it is left, and it may fail.

    A forked process copies each page of memory when it first writes to it, and Python writes to all that it uses.
    Who does that while there is time is twice as quick when it counts.
    """
    trial = Overlay(("/trial/lower",), "/trial/upper", "/trial/work", volatile=True)
    with contextlib.suppress(OSError, Failed):
        spec = decode(Spec, json.loads(json.dumps(encode(usual))))
        rootfs.same_trees(spec, usual)
        for path in (*trial.lower, trial.upper, trial.work):
            rootfs.make_directory(path)
        _mount_root(replace(spec, root=Root(overlay=trial)), iter(()))
        make_stub(ROOTFS, "/stub", directory=True, stubs=[])
        m.umount2(ROOTFS, m.MNT_DETACH)
        shown = Mount("/trial/file", "bind", f"{STAGE}/dev/null", ("rbind", "rprivate"))
        source = rootfs.open_source(shown)
        attached.attach(shown, source, [])
        os.close(source)
        m.umount2(shown.destination, m.MNT_DETACH)
        process.rehearse(usual.process)
    with contextlib.suppress(OSError):
        remove_tree("/trial")
