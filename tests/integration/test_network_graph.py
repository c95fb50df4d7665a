"""The picture of networks, drawn of real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from dockmagic.commands.network_graph import NetworkGraph
from dockmagic.engine import Engine
from dockmagic.network.creation import NetworkRequest
from dockmagic.oci.networks import NetworkOptions
from dockmagic.oci.options import RunOptions
from tests.unit.commands.calling import call

if TYPE_CHECKING:
    from tests.unit.commands.fakes import FakeEngine

pytestmark = pytest.mark.root


@pytest.mark.usefixtures("busybox")
def test_all_that_is_there_is_drawn(engine: Engine) -> None:
    engine.networks.create(NetworkRequest("back", internal=True))
    for name, network in (("web", "back"), ("plain", "default"), ("guest", "container:web"), ("own", "none")):
        options = (NetworkOptions(network),) if network == "back" else ()
        asked = RunOptions(name=name, command=("sleep", "60"), network=network, networks=options, detach=True)
        container = engine.containers.create("busybox", asked)
        if name != "own":
            container.start()
    asked_for = cast("FakeEngine", engine)
    shown = call(asked_for, "network", "graph")
    assert isinstance(shown, NetworkGraph)
    web = next(node for node in shown.graph.nodes if node.name == "web")
    assert f"└─ web  {web.places[0].addresses[0]}" in str(shown)
    assert "back (bridge, internal)" in str(shown)
    assert "guest  network of web" in str(shown)
    assert "own" not in str(shown)
    assert "none (null)" in str(call(asked_for, "network", "graph", "--all"))
    assert shown._repr_html_().startswith("<svg")
    for container in engine.containers.ls(all=True):
        container.rm(force=True)
