"""Files that every container gets: /etc/hosts, /etc/hostname, /etc/resolv.conf. Source: `docker run`, hosts(5)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from dockmagic.trees import remove_tree

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
def written(directory: Path, hostname: str, network: str, host_etc: Path = Path("/etc")) -> Iterator[None]:
    """Write the files into `directory`; the directory goes again where the block, the container's start, raises.

    On the host's network a container sees the host's hosts file, and always the host's resolvers.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        hosts = _read(host_etc / "hosts") if network == "host" else LOCALHOST
        for name, text in zip(NAMES, (hosts, f"{hostname}\n", _read(host_etc / "resolv.conf")), strict=True):
            path = directory / name
            path.write_text(text)
            path.chmod(0o644)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            remove_tree(directory)
        raise


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""
