"""A registry in a real kernel: served in the background, used, stopped, and gone with the kernel."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.notebooks.kernel import kernel

pytestmark = [pytest.mark.root, pytest.mark.notebook]


def listens(host: str) -> bool:
    """Whether somebody does at this address."""
    name, _, port = host.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((name, int(port))) == 0


def test_served_from_a_cell(state_root: Path, tmp_path: Path) -> None:
    with kernel(tmp_path) as notebook:
        assert "busybox" in notebook.run("%image_bootstrap busybox").text
        shown = notebook.run("%registry_serve -p 0 --store")
        assert "a registry is served at http://127.0.0.1:" in shown.text
        assert "<pre" in shown.data("text/html")[0]
        served = "r = %registry_serve -p 0 --directory {name}\nprint(r.host)"
        first = notebook.run(f"name = 'r'\n{served}").stream("stdout").strip()
        assert listens(first)
        asked = "from urllib.request import urlopen\nprint(urlopen(r.url + '/v2/_catalog').read())\n"
        assert "repositories" in notebook.run(asked).stream("stdout")
        assert "/v2/_catalog" in notebook.run("r.requests").text
        stopped = notebook.run("%registry_stop")
        assert first in stopped.text
        assert len(stopped.text.split()) == 2
        assert not listens(first)
        assert "no such registry: on port 1" in "".join(notebook.run("%registry_stop 1").error)
        last = notebook.run(f"name = 'r'\n{served}").stream("stdout").strip()
        assert listens(last)
    assert not listens(last)
