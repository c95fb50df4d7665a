from __future__ import annotations

import io
from pathlib import Path

import pytest

from dockmagic.builder.cache_transfer import CacheTarget
from dockmagic.builder.settings import ExtraHost, Limits, RunSettings
from dockmagic.commands.catalogue import by_name
from dockmagic.dockerfile.lint import LintWarning
from dockmagic.errors import BuildError, InvalidOption, RunFailed
from dockmagic.events import BuildStep, StepState
from dockmagic.oci.spec import Rlimit
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import IMAGE_ID, FakeConsole, FakeEngine

STEP = BuildStep(1, 1, "FROM busybox", StepState.DONE, 1)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    return tmp_path


def test_the_flags_reach_the_engine(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HERE", "yes")
    (context / "token").write_bytes(b"t\n")
    engine = FakeEngine()
    flags = "-t hello -t hello:2 --build-arg A=1 --build-arg FROM_HERE --target base --no-cache --pull --label l=1"
    flags += f" --secret id=file,src={context}/token --secret id=variable,env=FROM_HERE --secret id=unset,env=NOT_THERE"
    flags += " --ssh k=/agent --cache-to type=local,dest=/to,mode=max --cache-from type=local,src=/from"
    call(engine, "build", *flags.split(), "--network", "host", "--build-context", f"lib={context}",
         "--build-context", "tool=docker-image://busybox", str(context))  # fmt: skip
    assert engine.builds == [
        {
            "dockerfile": "FROM busybox\n",
            "context": context,
            "filename": str(context / "Dockerfile"),
            "dockerfile_path": context / "Dockerfile",
            "tags": ("hello", "hello:2"),
            "build_args": {"A": "1", "FROM_HERE": "yes"},
            "target": "base",
            "no_cache": True,
            "platform": "",
            "run": RunSettings(),
            "pull": True,
            "labels": {"l": "1"},
            "network": "host",
            "build_contexts": {"lib": context, "tool": "docker.io/library/busybox:latest"},
            "explain": False,
            "secrets": {"file": b"t\n", "variable": b"yes"},
            "parallel": True,
            "rewrite_timestamp": False,
            "outputs": (),
            "ssh": {"k": (Path("/agent"),)},
            "cache_to": (CacheTarget(Path("/to"), all_stages=True),),
            "cache_from": (Path("/from"),),
        }
    ]


def test_progress_is_shown_and_the_id_only_where_it_is_not(context: Path) -> None:
    engine, console = FakeEngine(events=(STEP,)), FakeConsole()
    show = by_name()["build"].show
    loud = call(engine, "build", str(context), console=console)
    show(loud, console)
    assert (console.events, console.streams["stdout"]) == ([STEP], b"")
    loud._ipython_display_()
    quiet = call(engine, "build", "-q", str(context), console=console)
    show(quiet, console)
    assert (console.events, console.streams["stdout"]) == ([STEP], f"{IMAGE_ID}\n".encode())
    with pytest.raises(NotImplementedError):
        quiet._ipython_display_()


def test_another_file(context: Path) -> None:
    (context / "other").write_text("FROM scratch\n")
    engine = FakeEngine()
    call(engine, "build", "-f", str(context / "other"), str(context))
    assert engine.builds[0]["dockerfile"] == "FROM scratch\n"


def test_a_dockerfile_on_standard_input(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr("tempfile.tempdir", str(context))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"FROM scratch\n")))
    call(engine, "build", "-")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"FROM scratch\n")))
    call(engine, "build", "-f", "-", str(context))
    assert [build["context"] for build in engine.builds] == [None, context]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("build /nowhere", "isn't a directory"),
        ("build oci-layout:///x", "oci-layout:// can't be fetched"),
        ("build git@example.com:a.git", "a build has no key of yours"),
        ("build -f - -", "can't be both the context and the Dockerfile"),
        ("build", "missing: PATH"),
        ("build --allow everything .", "--allow: 'everything' isn't an entitlement"),
        ("build --add-host x:nowhere .", "invalid IP address in add-host: 'nowhere'"),
        ("build --cgroup-parent x .", "--cgroup-parent isn't available yet: each RUN has a cgroup of its own"),
        ("build --cpu-quota 10 .", "--cpu-quota: '10' is less than the least quota"),
        ("build --cpu-period 10 .", "--cpu-period: '10' isn't a period"),
    ],
)
def test_what_cannot_be_built(words: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        call(FakeEngine(), *words.split())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("lib", "write NAME=DIRECTORY, NAME=URL or NAME=docker-image://REFERENCE"),
        ("=/", "write NAME=DIRECTORY"),
        ("lib=/nowhere", "--build-context lib= '/nowhere' isn't a directory"),
        ("lib=ftp://example.com/a", "--build-context lib= .*: ftp:// can't be fetched"),
        ("lib=oci-layout:///nowhere:1", "--build-context lib= '/nowhere' isn't a directory"),
        ("lib=oci-layout:///x@sha256:1", "write oci-layout://PATH:TAG or oci-layout://PATH@sha256:DIGEST"),
    ],
)
def test_what_cannot_be_a_named_context(context: Path, given: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        call(FakeEngine(), "build", "--build-context", given, str(context))


def test_images_of_layouts(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, digest = FakeEngine(), f"sha256:{'0' * 64}"
    monkeypatch.chdir(context)
    values = {"a": "oci-layout://.", "b": f"oci-layout://{context}:2.0", "c": f"oci-layout://{context}@{digest}"}
    flags = [word for name, value in values.items() for word in ("--build-context", f"{name}={value}")]
    call(engine, "build", *flags, str(context))
    assert engine.builds[0]["build_contexts"] == {
        "a": f"oci-layout://{context}:latest",
        "b": f"oci-layout://{context}:2.0",
        "c": f"oci-layout://{context}:latest@{digest}",
    }


def test_a_directory_without_a_dockerfile(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"Dockerfile: No such file .* -f"):
        call(FakeEngine(), "build", str(tmp_path))


def test_the_file_in_lower_case_where_there_is_no_other(tmp_path: Path) -> None:
    (tmp_path / "dockerfile").write_text("FROM scratch\n")
    engine = FakeEngine()
    call(engine, "build", str(tmp_path))
    assert engine.builds[0]["dockerfile"] == "FROM scratch\n"


def test_a_failure_goes_on_its_way(context: Path) -> None:
    with pytest.raises(BuildError):
        call(FakeEngine(fails=BuildError("no")), "build", str(context))


def test_a_check_builds_nothing(context: Path) -> None:
    warning = LintWarning("MaintainerDeprecated", "is deprecated", "https://example.org/", 1, 1)
    engine, console = FakeEngine(warnings=(warning,)), FakeConsole()
    result = call(engine, "build", "--check", "--build-arg", "A=1", "--target", "x", str(context), console=console)
    by_name()["build"].show(result, console)
    assert engine.builds == []
    assert engine.checks == [
        {
            "dockerfile": "FROM busybox\n",
            "context": context,
            "filename": str(context / "Dockerfile"),
            "dockerfile_path": context / "Dockerfile",
            "build_args": {"A": "1"},
            "target": "x",
            "platform": "",
        }
    ]
    assert console.streams["stdout"].decode() == (
        "Check complete, 1 warning has been found!\n\nWARNING: MaintainerDeprecated - https://example.org/\n"
        f"is deprecated\n{context}/Dockerfile:1\n  1 | FROM busybox\n    | ^^^^\n"
    )


def test_how_steps_run(context: Path) -> None:
    engine = FakeEngine()
    flags = "--network host --add-host a:10.0.0.1 --add-host b=[::1] --add-host here:host-gateway --shm-size 1m"
    flags += " --ulimit nofile=10:20 -m 64m --memory-swap -1 -c 512 --cpu-period 20000 --cpu-quota 10000"
    flags += " --cpuset-cpus 0 --cpuset-mems 0 --allow security.insecure"
    call(engine, "build", *flags.split(), str(context))
    assert engine.builds[0]["run"] == RunSettings(
        extra_hosts=(ExtraHost("a", "10.0.0.1"), ExtraHost("b", "::1"), ExtraHost("here", "host-gateway")),
        shm_size_bytes=1 << 20,
        ulimits=(Rlimit("RLIMIT_NOFILE", 10, 20),),
        limits=Limits(64 << 20, -1, 512, 20000, 10000, "0", "0"),
        allow=frozenset({"security.insecure"}),
    )


def test_stages_that_run_again(context: Path) -> None:
    engine = FakeEngine()
    call(engine, "build", "--no-cache-filter", "one,two", "--no-cache-filter", "3", str(context))
    assert engine.builds[0]["no_cache"] == ["one", "two", "3"]


def test_a_quiet_failure_shows_what_the_command_wrote(context: Path) -> None:
    failure = RunFailed("exit code: 1", step="RUN x", exit_status=1, output="what it said")
    with pytest.raises(RunFailed, match="exit code: 1\nwhat it said"):
        call(FakeEngine(fails=failure), "build", "-q", str(context))


def test_an_id_of_a_former_build_does_not_outlive_a_failure(context: Path) -> None:
    (context / "iid").write_text("sha256:old")
    with pytest.raises(BuildError):
        call(FakeEngine(fails=BuildError("no")), "build", "--iidfile", str(context / "iid"), str(context))
    assert not (context / "iid").exists()
    call(FakeEngine(), "build", "--iidfile", str(context / "iid"), str(context))
    assert (context / "iid").read_text() == IMAGE_ID


def test_a_gateway_that_is_not_there(context: Path) -> None:
    with pytest.raises(InvalidOption, match="--add-host x:host-gateway: with --network none RUN has only a loop"):
        call(FakeEngine(), "build", "--network", "none", "--add-host", "x:host-gateway", str(context))
