from __future__ import annotations

from typing import Any

import pytest

from dockmagic.builder.changes import changed_by
from dockmagic.errors import InvalidOption
from dockmagic.oci.image import ContainerConfig

BASE = ContainerConfig(
    user="root", env=("PATH=/bin", "A=1"), entrypoint=("/e",), cmd=("c",), working_dir="/w", labels={"l": "1"}
)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('CMD ["echo", "hi"]', {"cmd": ("echo", "hi")}),
        ("CMD echo hi", {"cmd": ("/bin/sh", "-c", "echo hi")}),
        ('ENTRYPOINT ["/x"]', {"entrypoint": ("/x",), "cmd": None}),
        ("ENV B=2 A=new", {"env": ("PATH=/bin", "A=new", "B=2")}),
        ("ENV B $A", {"env": ("PATH=/bin", "A=1", "B=1")}),
        ("env lower=case", {"env": ("PATH=/bin", "A=1", "lower=case")}),
        ("EXPOSE 80 53/udp", {"exposed_ports": ("53/udp", "80/tcp")}),
        ('LABEL l=2 "m n"="o p"', {"labels": {"l": "2", "m n": "o p"}}),
        ("ONBUILD RUN make", {"on_build": ("RUN make",)}),
        ("USER nobody:$A", {"user": "nobody:1"}),
        ('VOLUME ["/data", "/more"]', {"volumes": ("/data", "/more")}),
        ("WORKDIR sub", {"working_dir": "/w/sub"}),
        ("STOPSIGNAL INT", {"stop_signal": "INT"}),
        ("USER a\nWORKDIR /b", {"user": "a", "working_dir": "/b"}),
        ("# a comment\nUSER a", {"user": "a"}),
        ("", {}),
    ],
)
def test_what_an_instruction_changes(change: str, expected: dict[str, Any]) -> None:
    changed = changed_by(BASE, [change])
    assert {name: getattr(changed, name) for name in expected} == expected
    untouched = ("user", "env", "entrypoint", "cmd", "working_dir", "labels")
    assert all(getattr(changed, name) == getattr(BASE, name) for name in untouched if name not in expected)


def test_changes_come_one_after_another() -> None:
    changed = changed_by(BASE, ['CMD ["a"]', 'ENTRYPOINT ["b"]', "ENV X=1", "ENV Y=${X}2", "HEALTHCHECK CMD true"])
    assert (changed.cmd, changed.entrypoint, changed.env[-1]) == (("a",), ("b",), "Y=12")
    assert changed.healthcheck is not None
    assert changed.healthcheck.test == ("CMD-SHELL", "true")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("RUN x", "--change 'RUN x': RUN changes no config; use CMD, ENTRYPOINT, ENV, EXPOSE"),
        ("FROM x", "FROM changes no config"),
        ("COPY a b", "COPY changes no config"),
        ("SHELL [\"a\"]", "SHELL changes no config"),
        ("BOGUS x", "(?i)bogus"),
        ("EXPOSE abc", "abc"),
        ("ENV", "ENV"),
        ("USER $NOTHING", "empty once its variables are expanded"),
        ("STOPSIGNAL NONE", "is no signal"),
    ],
)  # fmt: skip
def test_what_changes_no_config(change: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        changed_by(BASE, [change])
