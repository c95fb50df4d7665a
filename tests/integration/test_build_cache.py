"""--cache-to and --cache-from with real builds of two state roots."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from tests.integration.build_words import build, dockerfile, said, warned

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]
TEXT = """\
FROM busybox AS tools
RUN echo tools ran; date +%N > /tool
FROM busybox
COPY --from=tools /tool /
RUN echo main ran; chown 5:6 /tool; rm /bin/true; cat /tool
"""


@pytest.mark.needs("skopeo")
def test_a_build_elsewhere_runs_nothing(
    engine: Engine, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    context, cache = str(dockerfile(tmp_path / "c", TEXT)), tmp_path / "cache"
    image, console = build(engine, "--cache-to", f"type=local,dest={cache},mode=max", context)
    assert {"tools ran", "main ran"} <= set(said(console).splitlines())
    with (tmp_path / "busybox.tar").open("wb") as file:
        engine.images.save(["busybox"], file)
    with Engine(tmp_path_factory.mktemp("other")) as other:
        with (tmp_path / "busybox.tar").open("rb") as file:
            other.images.load(file)
        same, console = build(other, "--cache-from", f"type=local,src={cache}", context)
        assert (said(console), warned(console)) == ("", [])
        assert same.config.diff_ids == image.config.diff_ids
        shutil.rmtree(cache)
        again, console = build(other, "--cache-from", f"type=local,src={cache}", context)
        assert (again.id, len(warned(console))) == (same.id, 1)


@pytest.mark.needs("skopeo")
def test_what_is_written_is_a_layout(engine: Engine, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    build(engine, "--cache-to", f"type=local,dest={cache}", str(dockerfile(tmp_path / "c", TEXT)))
    command = ["skopeo", "inspect", "--raw", f"oci:{cache}"]
    manifest = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert manifest["artifactType"] == "application/vnd.dockmagic.buildcache.v1+json"
    assert len(manifest["layers"]) == 2
