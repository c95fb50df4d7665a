"""Image config and options to a runtime spec. Source: image-spec conversion.md, and `docker run`'s rules. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import ceil

from dockmagic.errors import InvalidOption
from dockmagic.oci import defaults
from dockmagic.oci.image import ContainerConfig
from dockmagic.oci.options import JOIN, ExecOptions, RunOptions
from dockmagic.oci.spec import (
    CPU,
    Capabilities,
    Linux,
    Memory,
    Mount,
    Namespace,
    Process,
    Resources,
    Root,
    Spec,
    User,
)
from dockmagic.oci.volumes import place

CPU_PERIOD_US = 100_000
MOST_MOUNTS = 180  # each is a descriptor in one message, which holds 253 (SCM_MAX_FD)
MINIMUM_MEMORY_BYTES = 6 << 20  # Docker's limit: less doesn't let a process start


def convert(config: ContainerConfig, options: RunOptions, root: Root, etc: Mapping[str, str], hostname: str) -> Spec:
    """Spec of a container of this image. `etc` maps generated files such as /etc/hosts to their sources on the host.

    One with `privileged` has all capabilities and the usual devices; what this host has of either is the caller's part.
    Raises InvalidOption where there is no command, or a value can't be met.
    """
    open_paths = options.privileged or options.unconfined_paths
    return Spec(
        process=process(config, options, hostname),
        root=Root(root.path, options.read_only, root.overlay),
        hostname="" if options.uts == "host" or (options.network == "host" and not options.hostname) else hostname,
        domainname=options.domainname,
        annotations=options.annotations,
        mounts=mounts(options, etc),
        linux=Linux(
            namespaces=namespaces(options),
            resources=resources(options),
            devices=defaults.DEVICES,
            sysctl={**sysctls(options), **options.sysctls},
            masked_paths=() if open_paths else defaults.MASKED_PATHS,
            readonly_paths=() if open_paths else defaults.READONLY_PATHS,
        ),
        init=options.init,
    )


def process(config: ContainerConfig, options: RunOptions, hostname: str) -> Process:
    """The process that the options start: command, environment, user, directory, capabilities, limits."""
    return Process(
        args=arguments(config, options),
        cwd=options.workdir or config.working_dir or "/",
        env=environment(config.env, options.env, hostname, tty=options.tty),
        terminal=options.tty,
        console_size=options.console_size if options.tty else None,
        user=User(username=options.user or config.user, additional_groups=options.group_add),
        capabilities=capabilities(("ALL",), ())
        if options.privileged
        else capabilities(options.cap_add, options.cap_drop),
        rlimits=options.ulimits,
        no_new_privileges=options.no_new_privileges,
        oom_score_adj=options.oom_score_adj,
    )


def arguments(config: ContainerConfig, options: RunOptions) -> tuple[str, ...]:
    """ENTRYPOINT then CMD; arguments replace CMD, and --entrypoint replaces both (Dockerfile reference)."""
    entrypoint, command = config.entrypoint or (), config.cmd or ()
    if options.entrypoint is not None:
        entrypoint, command = options.entrypoint, ()
    args = entrypoint + (options.command or command)
    if not args:
        raise InvalidOption("no command specified: the image has no CMD or ENTRYPOINT; name a command after the image")
    return args


def environment(image_env: Iterable[str], extra: Iterable[str], hostname: str, *, tty: bool = False) -> tuple[str, ...]:
    """PATH and HOSTNAME by default, and TERM with a terminal, then the image's variables, then the user's.

    Each name is there once, with the last value.
    """
    fixed = (f"PATH={defaults.PATH}", f"HOSTNAME={hostname}", *((f"TERM={defaults.TERM}",) if tty else ()))
    return _merged((*fixed, *image_env, *extra))


def _merged(entries: Iterable[str]) -> tuple[str, ...]:
    """Each variable once, with its last value; a name alone takes it away."""
    merged: dict[str, str] = {}
    for entry in entries:
        name, separator, value = entry.partition("=")
        if separator:
            merged[name] = value
        else:
            merged.pop(name, None)
    return tuple(f"{name}={value}" for name, value in merged.items())


def capabilities(add: Iterable[str], drop: Iterable[str]) -> Capabilities:
    """The default set with --cap-add and --cap-drop applied: "ALL" starts from everything or nothing, names decide.

    Raises InvalidOption for what is none.
    """
    added, dropped = set(map(capability, add)), set(map(capability, drop))
    base = defaults.ALL_CAPABILITIES if "ALL" in added else () if "ALL" in dropped else defaults.CAPABILITIES
    names = tuple(sorted((set(base) | added - {"ALL"}) - dropped))
    return Capabilities(bounding=names, effective=names, permitted=names)


def capability(text: str) -> str:
    """A capability by the kernel's name, such as CAP_CHOWN, or ALL; in any case, and with or without CAP_.

    >>> capability("sys_ptrace")
    'CAP_SYS_PTRACE'
    """
    if text.upper() == "ALL":
        return "ALL"
    name = f"CAP_{text.upper().removeprefix('CAP_')}"
    if name not in defaults.ALL_CAPABILITIES:
        raise InvalidOption(f"{text!r} isn't a capability; write a name such as SYS_PTRACE, or ALL")
    return name


def mounts(options: RunOptions, etc: Mapping[str, str]) -> tuple[Mount, ...]:
    """The default file systems, the generated files, then what the user mounts; a user's mount wins its place.

    Of the user's mounts one that lies in another comes after that.

    Raises InvalidOption for more of them than can be handed over at once.
    """
    if len(options.mounts) > MOST_MOUNTS:
        raise InvalidOption(f"--volume: {len(options.mounts)} mounts are too many; at most {MOST_MOUNTS} are possible")
    chosen = tuple(sorted(options.tmpfs + options.mounts, key=lambda mount: place(mount.destination).count("/")))
    taken = {place(mount.destination) for mount in chosen}
    access = ("ro",) if options.read_only else ()
    generated = tuple(Mount(path, "bind", source, ("rbind", "rprivate", *access)) for path, source in etc.items())
    fixed = _with_ipc(defaults.mounts(options.shm_size_bytes, writable=options.privileged), options.ipc) + generated
    return tuple(mount for mount in fixed if mount.destination not in taken) + chosen


def _with_ipc(fixed: Iterable[Mount], mode: str) -> tuple[Mount, ...]:
    """The mounts, with the shared memory of the host or container whose IPC namespace is used; "none" has none.

    A file system of message queues shows those of the namespace in which it was mounted.
    """
    if mode == "none":
        return tuple(mount for mount in fixed if mount.destination != "/dev/shm")
    if mode != "host" and not mode.startswith(JOIN):
        return tuple(fixed)
    shared = Mount("/dev/shm", "bind", "/dev/shm" if mode == "host" else mode, ("rbind", "rprivate"))
    return tuple(shared if mount.destination == shared.destination else mount for mount in fixed)


def namespaces(options: RunOptions) -> tuple[Namespace, ...]:
    """New namespaces of every kind, but of those where the host's or another container's is asked for."""
    modes = options.modes()
    shared = {kind for kind, mode in modes.items() if mode == "host" or mode.startswith(JOIN)}
    return tuple(Namespace(kind) for kind in defaults.NAMESPACES if kind not in shared)


def sysctls(options: RunOptions) -> Mapping[str, str]:
    """Parameters of a network that is the container's own."""
    return {} if options.network == "host" or options.network.startswith(JOIN) else defaults.SYSCTLS


def resources(options: RunOptions) -> Resources:
    """Limits from the flags, with Docker's rules for what is left out.

    --memory-swap unset is twice the memory; 0 counts as unset; -1 is unlimited.
    """
    return Resources(
        memory=memory(options),
        cpu=CPU(
            shares=options.cpu_shares or None,
            quota=options.cpu_quota_us if options.cpus is None else ceil(options.cpus * CPU_PERIOD_US),
            period=options.cpu_period_us if options.cpus is None else CPU_PERIOD_US,
            cpus=options.cpuset_cpus,
            mems=options.cpuset_mems,
        ),
        block_io=options.block_io,
        pids_limit=options.pids_limit,
        devices=defaults.EVERY_DEVICE if options.privileged else defaults.DEVICE_RULES,
    )


def memory(options: RunOptions) -> Memory:
    """Memory limits; raises InvalidOption where they contradict each other or are too small to start anything."""
    limit, swap = options.memory_bytes or None, options.memory_swap_bytes or None
    if limit is not None and limit < MINIMUM_MEMORY_BYTES:
        raise InvalidOption("--memory: the minimum memory limit is 6m; below it no process can start")
    if swap is not None and limit is None:
        raise InvalidOption("--memory-swap: set --memory too; swap is limited together with memory")
    if limit is not None and swap is not None and 0 < swap < limit:
        raise InvalidOption("--memory-swap: must not be smaller than --memory; it is memory plus swap")
    reservation = options.memory_reservation_bytes or None
    if limit is not None and reservation is not None and reservation > limit:
        raise InvalidOption("--memory-reservation: must not be larger than --memory")
    return Memory(
        limit=limit,
        swap=swap or (None if limit is None else 2 * limit),
        reservation=reservation,
        swappiness=options.memory_swappiness,
        disable_oom_killer=options.oom_kill_disable,
    )


def exec_process(process: Process, options: ExecOptions) -> Process:
    """The process that exec starts: the container's own, with what the options change.

    One with `privileged` has the container's capabilities still: what this host has of them is the caller's part.
    """
    term = (f"TERM={defaults.TERM}",) if options.tty else ()
    return replace(
        process,
        args=options.command,
        env=_merged((*term, *process.env, *options.env)),
        user=User(username=options.user) if options.user else process.user,
        cwd=options.workdir or process.cwd,
        terminal=options.tty,
        console_size=options.console_size if options.tty else None,
    )
