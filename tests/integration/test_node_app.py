"""An application of node: a base image from a registry, a dependency from npm's, a published port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.image.registries import Registries
from tests.integration.build_words import build, dockerfile
from tests.integration.containers import until
from tests.integration.node_image import node_image
from tests.integration.registry_fixture import running_registry

pytestmark = [pytest.mark.root, pytest.mark.network, pytest.mark.needs("node", "npm", "docker-registry")]
DOCKERFILE = """\
FROM node:18
WORKDIR /usr/src/app
COPY ./ ./
RUN npm install
CMD ["node", "server.js"]
"""
PACKAGE = {"name": "app", "version": "1.0.0", "main": "server.js", "dependencies": {"ms": "2.1.3"}}
SERVER = """\
const http = require('http');
const ms = require('ms');
http.createServer((request, response) => response.end(`two days are ${ms('2 days')} ms\\n`)).listen(8080);
"""


def application(directory: Path) -> Path:
    """The directory, with the application in it."""
    dockerfile(directory, DOCKERFILE)
    (directory / "package.json").write_text(json.dumps(PACKAGE))
    (directory / "server.js").write_text(SERVER)
    return directory


@pytest.mark.timeout(300)
def test_from_its_sources_to_an_answer(engine: Engine, busybox: object, tmp_path: Path) -> None:
    with running_registry(tmp_path / "registry") as registry:
        name = f"{registry.host}/library/node:18"
        node_image(engine, name, tmp_path / "node")
        engine.images.push(name)
        registries = Registries(mirrors={"docker.io": (registry.url,)})
        with Engine(tmp_path / "fresh", registries=registries) as fresh:
            build(fresh, "-t", "app", str(application(tmp_path / "app")))
            words = ("run", "-d", "--rm", "--name", "web", "-p", "49160:8080", "app")
            root = os.environ | {"DOCKMAGIC_ROOT": str(tmp_path / "fresh")}
            done = subprocess.run([sys.executable, "-m", "dockmagic", *words], env=root, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            container = fresh.containers.get("web")
            try:
                until(lambda: answer("http://localhost:49160/") == "two days are 172800000 ms\n")
            finally:
                container.rm(force=True)


def answer(url: str) -> str:
    """What is there; "" while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as found:
            return str(found.read().decode())
    except OSError:
        return ""
