from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from dockmagic.commands.run_logs import details
from dockmagic.errors import InvalidOption
from dockmagic.oci.options import LogOptions
from dockmagic.runtime.container import Row
from tests.unit.commands.calling import call
from tests.unit.commands.fakes import FakeContainer, FakeContainers, FakeEngine


def asked(*words: str) -> LogOptions:
    engine = FakeEngine()
    call(engine, "create", *words, "busybox")
    return engine.containers.asked[0][2].log


def test_how_much_is_kept() -> None:
    assert asked() == LogOptions()
    found = asked("--log-opt", "max-size=10k", "--log-opt", "max-file=3")
    assert (found.driver, found.most_bytes, found.most_files) == ("json-file", 10240, 3)
    assert found.given == {"max-size": "10k", "max-file": "3"}
    local = asked("--log-driver", "local")
    assert (local.most_bytes, local.most_files, local.given) == (20 << 20, 5, {})
    assert asked("--log-driver=none").driver == "none"
    assert asked("--log-opt", "max-size=-1").most_bytes == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--log-driver syslog", "isn't available: logs are kept beside the container"),
        ("--log-opt compress=true", "unknown log opt 'compress' for json-file log driver"),
        ("--log-driver none --log-opt max-size=1k", "unknown log opt 'max-size' for none"),
        ("--log-opt max-file=2", "max-file cannot be greater than 1 when max-size is not set"),
        ("--log-opt max-file=0", "cannot be less than 1"),
        ("--log-opt max-size=big", "max-size"),
        ("--log-opt max-size=0", "must be a positive number"),
        ("--log-opt tag={{nosuch}}", "not defined"),
    ],
)
def test_what_is_refused(words: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        asked(*words.split())


def test_details_are_labels_variables_and_a_tag() -> None:
    log = LogOptions(labels=("a", "none"), env=("B",), tag="{{.Name}}/{{.ID}}")
    row = SimpleNamespace(
        options=SimpleNamespace(log=log), labels={"a": "1", "c": "3"}, id="c0ffee" * 10, name="burn",
        image_id="sha256:x", image_reference="busybox",
        spec=SimpleNamespace(process=SimpleNamespace(env=("A=0", "B=2"))),
    )  # fmt: skip
    assert details(cast("Row", row)) == "B=2,a=1,tag=burn/c0ffeec0ffee"


def test_times_of_logs_are_moments() -> None:
    container = FakeContainer()
    call(
        FakeEngine(FakeContainers({"burn": container})),
        "logs",
        "--since",
        "1.5",
        "--until",
        "1970-01-01T00:00:02Z",
        "burn",
    )
    assert container.calls == [("logs", False, None, 1_500_000_000, 2_000_000_000)]
