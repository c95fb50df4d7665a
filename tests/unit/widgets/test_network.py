from __future__ import annotations

import io
from itertools import pairwise
from xml.etree import ElementTree

from dockmagic.network.graph import Bridge, Graph, Node, Place
from dockmagic.widgets.network import layout, network_figure, network_svg, network_text

GRAPH = Graph(
    "laptop",
    ("192.0.2.7/24",),
    (
        Bridge("bridge", interface="dm0", addresses=("172.17.0.1/16",)),
        Bridge("back", interface="dm1", addresses=("172.18.0.1/16",), internal=True),
    ),
    (
        Node("db", "postgres", True, (Place("back", "eth0", ("172.18.0.3",)),)),
        Node(
            "web",
            "app<1>",
            True,
            (Place("bridge", "eth0", ("172.17.0.2",)), Place("back", "eth1", ("172.18.0.2",))),
            ("0.0.0.0:49160->8080/tcp",),
        ),
        Node("old", "busybox", False, (Place("bridge"),)),
        Node("side", "busybox", True, joined="web"),
    ),
)
SVG = "{http://www.w3.org/2000/svg}"


def test_the_text_has_every_container_below_its_networks() -> None:
    assert network_text(GRAPH).splitlines() == [
        "laptop 192.0.2.7/24",
        "├─ bridge (bridge)  dm0  172.17.0.1/16",
        "│  ├─ web  172.17.0.2  0.0.0.0:49160->8080/tcp",
        "│  └─ old  (stopped)",
        "├─ back (bridge, internal)  dm1  172.18.0.1/16",
        "│  ├─ db  172.18.0.3",
        "│  └─ web  172.18.0.2  0.0.0.0:49160->8080/tcp",
        "└─ side  network of web",
    ]


def test_no_boxes_lie_on_each_other() -> None:
    picture = layout(GRAPH)
    for column in range(3):
        boxes = sorted((box for box in picture.boxes if box.column == column), key=lambda box: box.top)
        for above, below in pairwise(boxes):
            assert above.top + above.height < below.top
        assert boxes[-1].top + boxes[-1].height <= picture.height
    assert len({line.y[1] for line in picture.lines if line.end.column == 2}) == 4


def test_the_picture_is_well_formed_and_says_all() -> None:
    root = ElementTree.fromstring(network_svg(GRAPH))
    words = {text for element in root.iter() for text in (element.text,) if text}
    for wanted in ("laptop", "web", "app<1>", "eth1 172.18.0.2", "0.0.0.0:49160->8080/tcp", "dm1"):
        assert wanted in words
    assert len(root.findall(f"{SVG}rect")) == 1 + 2 + 4
    assert len(root.findall(f"{SVG}path")) == 2 + 4


def test_there_may_be_nothing_but_the_host() -> None:
    empty = Graph("laptop", (), (), ())
    assert network_text(empty) == "laptop"
    assert len(ElementTree.fromstring(network_svg(empty)).findall(f"{SVG}rect")) == 1


def test_the_figure_can_be_saved() -> None:
    out = io.BytesIO()
    network_figure(GRAPH).savefig(out, format="png")
    assert out.getvalue().startswith(b"\x89PNG")
