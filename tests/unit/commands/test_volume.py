from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dockmagic.database import Database
from dockmagic.errors import Conflict, InvalidOption, NotFound
from dockmagic.upkeep import DiskUsage
from dockmagic.volumes.store import VolumeStore
from dockmagic.volumes.verbs import Volumes
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeConsole, FakeEngine, FakeUpkeep


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    """An engine with true volumes: `data`, labelled and used by a container, `logs`, and one without a name."""
    database = Database(tmp_path / "state.db")
    volumes = Volumes(tmp_path, database)
    volumes.create("logs")
    volumes.create("data", labels={"a": "1"})
    volumes.create()
    (tmp_path / "containers" / "c1").mkdir(parents=True)
    VolumeStore(tmp_path, database).use(volumes.get("data"), "c1", remove=False)
    yield FakeEngine(volumes=volumes)
    database.close()


def names(engine: FakeEngine, *words: str) -> list[str]:
    """What `volume ls -q` lists, less the volume without a name."""
    return [name for name in str(call(engine, "volume", "ls", "-q", *words)).split() if len(name) < 64]


def test_a_volume_is_made_once(engine: FakeEngine) -> None:
    volume = call(engine, "volume", "create", "-d", "local", "--label", "k=v", "-o", "type=none", "-o",
                  "device=/srv", "-o", "o=bind", "new")  # fmt: skip
    assert str(volume) == "new"
    assert (volume.labels, volume.options) == ({"k": "v"}, {"type": "none", "device": "/srv", "o": "bind"})
    assert call(engine, "volume", "create", "--label", "k=other", "new") == volume
    assert len(str(call(engine, "volume", "create"))) == 64


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("a/b", "includes invalid characters for a local volume name"),
        ("..", "includes invalid characters"),
        ("x", "volume name is too short"),
        ("-d nfs new", "error looking up volume plugin nfs"),
        ("-o size=1g new", "no quota support"),
        ("-o colour=red new", 'invalid option: "colour"'),
        ("-o type=tmpfs new", 'missing required option: "device"'),
        ("-o type=ext4 -o device=/dev/x new", "a volume of type 'ext4' isn't available"),
        ("-o device=/srv new", "isn't available"),
        ("-o type=none -o device=/srv -o o=bind,uid=7 new", "'uid=7' isn't available"),
        ("--scope multi new", "there is no cluster"),
        ("new other", "unexpected argument 'other'"),
    ],
)
def test_volumes_that_cannot_be_made(engine: FakeEngine, words: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        call(engine, "volume", "create", *words.split())
    assert names(engine) == ["data", "logs"]


def test_the_list(engine: FakeEngine) -> None:
    table = call(engine, "volume", "ls")
    assert table.columns == ("DRIVER", "VOLUME NAME")
    assert ("local", "data") in table.rows
    assert {volume.name for volume in table} >= {"data", "logs"}
    assert str(call(engine, "volume", "ls", "-f", "name=log", "--format", "{{.Name}} {{.Driver}}")) == "logs local"
    row = json.loads(str(call(engine, "volume", "list", "-f", "name=data", "--format", "json")))
    assert (row["Name"], row["Labels"], row["Links"], row["Scope"]) == ("data", "a=1", "N/A", "local")


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("-f dangling=true", ["logs"]),
        ("-f dangling=false", ["data"]),
        ("-f label=a", ["data"]),
        ("-f label=a=2", []),
        ("-f driver=local", ["data", "logs"]),
        ("-f driver=nfs", []),
        ("-f name=a -f dangling=0", ["data"]),
    ],
)
def test_filters(engine: FakeEngine, filters: str, expected: list[str]) -> None:
    assert names(engine, *filters.split()) == expected


def test_inspect(engine: FakeEngine) -> None:
    (document,) = call(engine, "volume", "inspect", "data")
    assert list(document) == ["CreatedAt", "Driver", "Labels", "Mountpoint", "Name", "Options", "Scope"]
    assert (document["Labels"], document["Options"]) == ({"a": "1"}, None)
    assert str(call(engine, "volume", "inspect", "-f", "{{.Mountpoint}}", "data")).endswith("/volumes/data/_data")
    with pytest.raises(NotFound, match="no such volume: nothing"):
        call(engine, "volume", "inspect", "data", "nothing")


def test_removal(engine: FakeEngine) -> None:
    with pytest.raises(Conflict, match=r"volume data: volume is in use - \[c1\]"):
        call(engine, "volume", "rm", "data")
    assert call(engine, "volume", "rm", "logs") == ("logs",)
    with pytest.raises(NotFound, match="no such volume: logs"):
        call(engine, "volume", "remove", "logs")
    assert call(engine, "volume", "rm", "-f", "logs") == ("logs",)
    assert names(engine) == ["data"]


def test_prune_takes_volumes_without_a_name_or_all(engine: FakeEngine) -> None:
    assert len(call(engine, "volume", "prune", "-f").removed) == 1
    assert names(engine) == ["data", "logs"]
    assert call(engine, "volume", "prune", "-f", "--all", "--filter", "label!=b").removed == ("logs",)
    assert names(engine) == ["data"]
    with pytest.raises(InvalidOption, match="cannot specify both --all and --filter all=1"):
        call(engine, "volume", "prune", "-f", "-a", "--filter", "all=1")


def test_prune_of_the_system_takes_them_on_demand(engine: FakeEngine) -> None:
    call(engine, "system", "prune", "-f")
    assert len(call(engine, "volume", "ls")) == 3
    removed = call(engine, "system", "prune", "-f", "--volumes")
    assert "Deleted Volumes:" in str(removed)
    assert len(call(engine, "volume", "ls")) == 2


def test_the_question_names_what_goes(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def no(console: FakeConsole, force: bool, warning: str) -> bool:
        asked.append(warning)
        return False

    monkeypatch.setattr("dockmagic.commands.volume.confirm", no)
    call(engine, "volume", "prune")
    call(engine, "volume", "prune", "-a")
    assert asked == [
        "This will remove anonymous local volumes not used by at least one container.",
        "This will remove all local volumes not used by at least one container.",
    ]


def test_df_counts_them(engine: FakeEngine) -> None:
    assert engine.volumes is not None
    (engine.volumes.get("logs").mountpoint / "f").write_bytes(b"x" * 3000)
    (engine.volumes.get("data").mountpoint / "f").write_bytes(b"x" * 1000)
    engine.upkeep = FakeUpkeep(DiskUsage((), 0, 0, (), (), engine.volumes.usage()))
    assert call(engine, "system", "df").rows[2] == ("Local Volumes", "3", "1", "4kB", "3kB (75%)")
    rows = call(engine, "system", "df", "-v")[2].rows
    assert ("data", "1", "1kB") in rows
    assert ("logs", "0", "3kB") in rows
