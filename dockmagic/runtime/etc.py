"""Files that every container gets: /etc/hosts, /etc/hostname, /etc/resolv.conf. Source: `docker run`, hosts(5)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

LOCALHOST: Final = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


def write(directory: Path, hostname: str, network: str, host_etc: Path = Path("/etc")) -> Mapping[str, str]:
    """Write the files into `directory`, and map the container's paths to them.

    On the host's network a container sees the host's hosts file, and always the host's resolvers.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    hosts = _read(host_etc / "hosts") if network == "host" else LOCALHOST
    contents = {"hosts": hosts, "hostname": f"{hostname}\n", "resolv.conf": _read(host_etc / "resolv.conf")}
    for name, text in contents.items():
        path = directory / name
        path.write_text(text)
        path.chmod(0o644)
    return {f"/etc/{name}": str(directory / name) for name in contents}


def _read(path: Path) -> str:
    with contextlib.suppress(OSError):
        return path.read_text()
    return ""
