"""Files that every container gets: /etc/hosts, /etc/hostname, /etc/resolv.conf. Source: `docker run`, hosts(5)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from dockmagic.trees import make_private, remove_tree

LOCALHOST: Final = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


NAMES: Final = ("hosts", "hostname", "resolv.conf")


def sources(directory: str) -> Mapping[str, str]:
    """The container's paths, and the files in `directory` that are shown there."""
    return {f"/etc/{name}": f"{directory}/{name}" for name in NAMES}


@contextlib.contextmanager
def written(
    directory: str,
    hostname: str,
    network: str,
    host_etc: str = "/etc",
    *,
    extra_hosts: Iterable[tuple[str, str]] = (),
) -> Iterator[None]:
    """Write the files into `directory`; the directory goes again where the block, the container's start, raises.

    On the host's network a container sees the host's hosts file, and always the host's resolvers. `extra_hosts` are
    names with their addresses.
    """
    try:
        make_private(directory)
        hosts = _read(f"{host_etc}/hosts") if network == "host" else LOCALHOST.encode()
        _write(f"{directory}/hosts", hosts + _lines(extra_hosts, hosts))
        _write(f"{directory}/hostname", f"{hostname}\n".encode())
        _write(f"{directory}/resolv.conf", _read(f"{host_etc}/resolv.conf"))
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(directory)
        raise


def _lines(extra_hosts: Iterable[tuple[str, str]], above: bytes) -> bytes:
    """Lines for names with their addresses, to be put below other lines."""
    lines = "".join(f"{address}\t{name}\n" for name, address in extra_hosts).encode()
    return b"\n" + lines if lines and above and not above.endswith(b"\n") else lines


def _read(path: str) -> bytes:
    with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
        return file.readall()
    return b""


def _write(path: str, data: bytes) -> None:
    """Make the file, readable by everyone whatever the umask is."""
    with open(path, "wb", buffering=0) as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(data)
