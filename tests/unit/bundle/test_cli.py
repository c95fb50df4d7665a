"""The command line's own: its log, its help, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dockmagic.bundle.cli import main
from dockmagic.bundle.lifecycle import signal_number
from dockmagic.errors import InvalidOption


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_error_is_told_and_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    log = tmp_path / "log"
    assert main(["--root", str(tmp_path), "--log", str(log), "--log-format", form, "state", "x"]) == 1
    assert capsys.readouterr().err == "dockmagic-oci: no such container: x\n"
    line = log.read_text()
    assert (
        json.loads(line)["msg"] if form == "json" else line.split('msg="')[1].split('"')[0]
    ) == "no such container: x"
    assert "error" in line


def test_a_first_config_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["spec", "--bundle", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "config.json").read_text())["ociVersion"] == "1.0.2"
    assert main(["spec", "--bundle", str(tmp_path)]) == 1
    assert "it exists" in capsys.readouterr().err


def test_groups_of_systemd_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--systemd-cgroup", "state", "x"]) == 1
    assert "--systemd-cgroup" in capsys.readouterr().err


def test_containers_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path), "list"]) == 0
    assert capsys.readouterr().out.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED"]
    assert main(["--root", str(tmp_path), "list", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_signals_by_name_and_number() -> None:
    assert [signal_number(text) for text in ("TERM", "sigterm", "15", "9")] == [15, 15, 15, 9]
    for wrong in ("0", "65", "NONE", "", "_DFL", "-9"):
        with pytest.raises(InvalidOption, match="there is none"):
            signal_number(wrong)
