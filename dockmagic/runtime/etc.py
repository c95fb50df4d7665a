"""Files that every container gets: /etc/hosts, /etc/hostname, /etc/resolv.conf. Source: `docker run`, hosts(5)."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from dockmagic.oci.options import RunOptions
from dockmagic.runtime import hosts, resolv_conf
from dockmagic.runtime.hosts import Entry
from dockmagic.runtime.networking import Networking
from dockmagic.trees import make_private, remove_tree

NAMES: Final = ("hosts", "hostname", "resolv.conf")
_LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Host:
    """The host's own files, as texts."""

    hosts: str
    resolv_conf: str


def host(etc: str = "/etc", behind_stub: str = "/run/systemd/resolve/resolv.conf") -> Host:
    """The host's files; one that isn't there is empty. Of resolv.conf's the one that names the servers, see there."""
    return Host(_read(f"{etc}/hosts"), resolv_conf.host_files(_read(f"{etc}/resolv.conf"), _read(behind_stub)))


def sources(directory: str) -> Mapping[str, str]:
    """The container's paths, and the files in `directory` that are shown there."""
    return {f"/etc/{name}": f"{directory}/{name}" for name in NAMES}


def texts(options: RunOptions, hostname: str, around: Networking, host: Host) -> Mapping[str, str]:
    """What is in the files, by name; raises InvalidOption for a `host-gateway` where there is none.

    On the host's network a container sees the host's hosts file, and its resolvers.
    """
    on_host = options.network == "host"
    added = hosts.with_gateway(options.extra_hosts, (_LOOPBACK,) if on_host else _nearest(around.gateways))
    return {
        "hosts": hosts.text([*added, *_entries(options, hostname, around)], host.hosts if on_host else hosts.LOCALHOST),
        "hostname": f"{hostname}\n",
        "resolv.conf": _resolv_conf(options, around, host),
    }


def _entries(options: RunOptions, hostname: str, around: Networking) -> list[Entry]:
    """The lines of /etc/hosts that its networks bring: those that it has links to, and itself."""
    own = hosts.own_names(hostname, options.domainname)
    return [*around.linked, *((own, address) for address in around.addresses)]


def _resolv_conf(options: RunOptions, around: Networking, host: Host) -> str:
    """The file's text; the host's own where the container is on its network, and nothing is to be changed."""
    if options.network == "host" and not (options.dns or options.dns_search or options.dns_options):
        return host.resolv_conf
    found = resolv_conf.parse(host.resolv_conf)
    conf = resolv_conf.chosen(found, options.dns, options.dns_search, options.dns_options)
    if options.network == "host":
        return conf.text()
    return (
        resolv_conf.embedded(conf) if around.embedded else resolv_conf.reachable(conf, ipv6=_has_ipv6(around))
    ).text()


def _nearest(gateways: Iterable[str]) -> tuple[str, ...]:
    """The first gateway of each version."""
    versions = {":" in gateway: gateway for gateway in reversed(tuple(gateways))}
    return tuple(versions[version] for version in (False, True) if version in versions)


def _has_ipv6(around: Networking) -> bool:
    return any(":" in address for address in around.addresses)


@contextlib.contextmanager
def written(directory: str, files: Mapping[str, str]) -> Iterator[None]:
    """Write the files into `directory`, which goes again where the block, the container's start, raises."""
    try:
        make_private(directory)
        for name, text in files.items():
            _write(f"{directory}/{name}", text)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(directory)
        raise


def update(directory: str, options: RunOptions, hostname: str, before: Networking, after: Networking) -> None:
    """Have the files in `directory` say what is around their container now, while it runs.

    What it has written into hosts itself stays there, and its resolv.conf where that isn't as it was made.
    """
    old, new = (_entries(options, hostname, around) for around in (before, after))

    def changed(text: str) -> str:
        kept = hosts.without(text, [entry for entry in old if entry not in new])
        return hosts.text([entry for entry in new if entry not in old], kept)

    _rewrite(f"{directory}/hosts", changed)
    now = host()
    made, wanted = (_resolv_conf(options, around, now) for around in (before, after))
    _rewrite(f"{directory}/resolv.conf", lambda text: wanted if text == made else text)


def _rewrite(path: str, change: Callable[[str], str]) -> None:
    """Change a file in its place, where it is mounted; one that isn't there is left alone."""
    with contextlib.suppress(FileNotFoundError), open(path, "r+", encoding="utf-8", errors="surrogateescape") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        text = file.read()
        changed = change(text)
        if changed != text:
            file.seek(0)
            file.write(changed)
            file.truncate()


def _read(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()
    return ""


def _write(path: str, text: str) -> None:
    """Make the file, readable by everyone whatever the umask is."""
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
