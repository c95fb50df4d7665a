"""A base image such as `node:18`, made of the node and the npm of this host: no registry of images is needed."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path

from dockmagic.engine import Engine
from dockmagic.image.store import Image
from tests.integration.build_words import build, dockerfile

_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_DOCKERFILE = f"""\
FROM busybox
COPY root/ /
ENV NODE_EXTRA_CA_CERTS={_AUTHORITIES} PATH=/usr/local/bin:/usr/bin:/bin
CMD ["node"]
"""


def node_image(engine: Engine, name: str, directory: Path) -> Image:
    """The image, built below the directory under this name."""
    root = dockerfile(directory, _DOCKERFILE) / "root"
    node = shutil.which("node")
    assert node is not None
    for file in (node, *libraries(node), "/usr/bin/env"):
        _copy(Path(file), root)
    for file in libraries("/usr/bin/env"):
        _copy(Path(file), root)
    npm = Path(os.path.realpath(shutil.which("npm") or ""))
    package = npm.parents[1]
    shared = Path("/usr/share/nodejs") if package.is_relative_to("/usr/share/nodejs") else package
    shutil.copytree(shared, root / shared.relative_to("/"), symlinks=True)
    binary = root / "usr/local/bin/npm"
    binary.parent.mkdir(parents=True)
    binary.symlink_to(npm)
    authorities = root / _AUTHORITIES[1:]
    authorities.parent.mkdir(parents=True)
    shutil.copy(os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().openssl_cafile, authorities)
    return build(engine, "-t", name, str(directory))[0]


def libraries(program: str) -> list[str]:
    """The libraries of a program, and its loader."""
    done = subprocess.run(["ldd", program], check=True, capture_output=True, text=True)
    words = [line.split() for line in done.stdout.splitlines()]
    return [line[2] if "=>" in line else line[0] for line in words if any(word.startswith("/") for word in line)]


def _copy(file: Path, root: Path) -> None:
    """Copy a file to the same place below the root."""
    target = root / file.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy(file, target)
