"""Images as Python packages: written, installed by a real pip, and used where no registry can be reached."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.errors import RegistryError
from dockmagic.events import Event, PullFinished
from dockmagic.image.registries import Registries
from dockmagic.image.store import Image
from dockmagic.oci.options import RunOptions
from tests.unit.image.fake_server import nobody_listens

pytestmark = pytest.mark.root
NAME = "course.example/base:1.0"
DOCKERFILE = "FROM course.example/base:1.0\nRUN cat /etc/lesson > /copy\nCMD cat /copy\n"


@dataclass(frozen=True)
class Course:
    """An image that a teacher has built, and where pip has installed the teacher's package."""

    lesson: Image
    site: Path


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    directory = tmp_path_factory.mktemp("course")
    dockerfile = "FROM busybox\nRUN mkdir -p /etc && echo hello > /etc/lesson\nCMD cat /etc/lesson\n"
    with Engine(directory / "teacher") as teacher:
        teacher.images.bootstrap("busybox")
        lesson = teacher.build(dockerfile, tags=[NAME])
        wheel = teacher.images.wheel([NAME], directory, name="course-images", version="2024.1")
    site = directory / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--find-links", str(wheel.parent)]
    subprocess.run([*pip, "--target", str(site), "course-images==2024.1"], check=True, timeout=100)
    return Course(lesson, site)


@pytest.fixture
def student(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine of somebody who has the package, and no network."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(course.site)])
    with nobody_listens() as nowhere:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://{nowhere}")
        with Engine(tmp_path / "student", registries=Registries()) as student:
            yield student


def test_pulled_run_and_built_upon(student: Engine, course: Course) -> None:
    [offer] = student.images.offline()
    assert (offer.reference.familiar, offer.package, offer.version) == (
        NAME,
        "course-images",
        "2024.1",
    )
    events: list[Event] = []
    built = student.build(DOCKERFILE, tags=["mine"], on_event=events.append)
    assert [event.digest for event in events if isinstance(event, PullFinished)] == [course.lesson.manifest_digest]
    pulled = student.images.pull(NAME)
    assert (pulled.id, pulled.manifest_digest) == (course.lesson.id, course.lesson.manifest_digest)
    assert built.chain_ids[: len(pulled.chain_ids)] == pulled.chain_ids
    for name in (NAME, "mine"):
        assert student.containers.run(name, RunOptions(remove=True)).exit_status == 0


def test_run_takes_it_from_the_package(student: Engine) -> None:
    assert student.containers.run(NAME, RunOptions(remove=True)).exit_status == 0


def test_other_names_need_a_registry(student: Engine) -> None:
    with pytest.raises(RegistryError):
        student.images.pull("course.example/base:2.0")


def test_the_settings_can_do_without(student: Engine, tmp_path: Path) -> None:
    with Engine(tmp_path / "other", registries=Registries(packages=False)) as other:
        with pytest.raises(RegistryError):
            other.images.pull(NAME)


def test_a_terminal_lists_and_pulls(course: Course, tmp_path: Path) -> None:
    environment = os.environ | {
        "PYTHONPATH": f"{Path.cwd()}:{course.site}",
        "DOCKMAGIC_ROOT": str(tmp_path / "terminal"),
    }

    def dockmagic(*words: str) -> str:
        command = [sys.executable, "-m", "dockmagic", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=environment).stdout

    assert "course.example/base   1.0" in dockmagic("image", "offline")
    assert dockmagic("pull", "-q", NAME) == "course.example/base:1.0\n"
    assert dockmagic("run", "--rm", NAME) == "hello\n"
    path = dockmagic("image", "wheel", "-o", str(tmp_path), NAME).strip()
    assert path == f"{tmp_path}/dockmagic_image_base-1.0-py3-none-any.whl"
