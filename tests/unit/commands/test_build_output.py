from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dockmagic.builder.outputs import Output, OutputType
from dockmagic.commands.build_output import OutputFlag, output_flag
from dockmagic.errors import InvalidOption
from dockmagic.oci.reference import Reference
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeEngine


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM busybox\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("out", OutputFlag("", "local", "out")),
        ("a=b", OutputFlag("", "local", "a=b")),
        ("-", OutputFlag("", "tar", "-")),
        ("type=local,dest=out", OutputFlag("", "local", "out")),
        ('type=local,"dest=a,b"', OutputFlag("", "local", "a,b")),
        ("type=tar", OutputFlag("", "tar", "-")),
        ("type=tar,dest=-", OutputFlag("", "tar", "-")),
        ("type=oci,dest=x.tar", OutputFlag("", "oci", "x.tar")),
        ("type=oci,dest=x,tar=false", OutputFlag("", "oci", "x", is_tar=False)),
        ("type=docker", OutputFlag("", "docker")),
        ("type=docker,DEST=f,rewrite-timestamp=true", OutputFlag("", "docker", "f", rewrite_timestamp=True)),
        ("type=image,push=false,name=a", OutputFlag("", "image", names=("a",))),
        ('type=image,"name=a,b:2"', OutputFlag("", "image", names=("a", "b:2"))),
        ("type=image,name=a,push=true", OutputFlag("", "image", names=("a",), push=True)),
        ("type=registry,name=a", OutputFlag("", "image", names=("a",), push=True)),
        ("type=registry,push=false", OutputFlag("", "image")),
        ("type=cacheonly", OutputFlag("", "cacheonly")),
    ],
)
def test_values(text: str, expected: OutputFlag) -> None:
    flag = output_flag(text)
    assert flag == replace(expected, text=text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dest=a,tar=true", "the type is missing"),
        ("type=zip", "type can be local, tar, oci, docker, image, registry or cacheonly"),
        ("type=local", "needs a directory: dest=DIR"),
        ("type=local,dest=-", "needs a directory: dest=DIR"),
        ("type=local,x", "'x' isn't KEY=VALUE"),
        ("type=local,dest=a,name=b", "type=local can't have name$"),
        ("type=oci,compression=zstd", "can't have compression: layers are written as they are in the store"),
        ("type=oci,tar=maybe", "tar can be true or false, not 'maybe'"),
        ("type=oci,tar=false", "needs type=oci and dest=DIR"),
        ("type=docker,dest=a,tar=false", "needs type=oci and dest=DIR"),
        ("type=oci,dest=a,push=true", "type=oci can't have push$"),
        ("type=registry,push-by-digest=true", "can't have push-by-digest: an image is pushed under its names"),
        ("type=registry,registry.insecure=true", "listed as insecure in dockmagic.toml"),
        ('type=tar,"dest', "unexpected end of data"),
    ],
)
def test_values_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        output_flag(text)


def test_they_reach_the_engine(context: Path, tmp_path: Path) -> None:
    engine = FakeEngine()
    read, write = os.pipe()
    words = ["-t", "t", "-o", f"type=oci,dest={tmp_path}/o,name=n,rewrite-timestamp=1", "-o", "-", "--load"]
    call(engine, "build", *words, str(context), console=FakeConsole(stdout=write))
    os.close(read)
    os.close(write)
    build = engine.builds[0]
    oci, tar, store = build["outputs"]
    assert oci == Output(OutputType.OCI, tmp_path / "o", names=(Reference.parse("n"),))
    assert (tar.type, hasattr(tar.dest, "write")) == (OutputType.TAR, True)
    assert store == Output(OutputType.DOCKER)
    assert (build["tags"], build["rewrite_timestamp"]) == (("t",), True)


def test_a_push_is_an_output(context: Path) -> None:
    engine = FakeEngine()
    call(engine, "build", "--push", "-o", "type=registry,name=n", str(context))
    assert engine.builds[0]["outputs"] == (
        Output(OutputType.IMAGE, push=True),
        Output(OutputType.IMAGE, names=(Reference.parse("n"),), push=True),
    )


def test_the_time_is_taken_from_the_environment(context: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "5")
    engine = FakeEngine()
    call(engine, "build", "--rewrite-timestamp", str(context))
    call(engine, "build", "--build-arg", "SOURCE_DATE_EPOCH=6", str(context))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    call(engine, "build", str(context))
    assert [build["build_args"].get("SOURCE_DATE_EPOCH") for build in engine.builds] == ["5", "6", None]
    assert [build["rewrite_timestamp"] for build in engine.builds] == [True, False, False]


def test_an_archive_is_never_shown(context: Path) -> None:
    engine = FakeEngine()
    with pytest.raises(InvalidOption, match="-o -: an archive isn't written to the screen"):
        call(engine, "build", "-o", "-", str(context))
    main, terminal = os.openpty()
    with pytest.raises(InvalidOption, match="-o type=oci: an archive isn't written to the screen"):
        call(engine, "build", "-o", "type=oci", str(context), console=FakeConsole(stdout=terminal))
    os.close(main)
    os.close(terminal)
    assert engine.builds == []


def test_standard_output_takes_one_thing(context: Path) -> None:
    with pytest.raises(InvalidOption, match="-o type=oci: standard output takes one archive"):
        call(FakeEngine(), "build", "-o", "-", "-o", "type=oci", str(context))
    with pytest.raises(InvalidOption, match="-q and --progress=classic write to standard output"):
        call(FakeEngine(), "build", "-q", "-o", "-", str(context))
