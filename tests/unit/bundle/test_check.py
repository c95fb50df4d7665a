"""What of a config is refused before anything is touched."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from dockmagic.bundle import load, template
from dockmagic.bundle.check import check, grantable
from dockmagic.errors import ContainerError, InvalidBundle, Unsupported
from dockmagic.oci.spec import Capabilities, Process

MAP = [{"containerID": 0, "hostID": 0, "size": 1}]


def changed(path: str, value: Any) -> dict[str, Any]:
    """The first config with another value, which None takes away."""
    document = copy.deepcopy(template.config())
    *above, last = path.split(".")
    place = document
    for name in above:
        place = place.setdefault(name, {})
    place[last] = value
    return document


def checked(document: dict[str, Any]) -> list[str]:
    """Check a document; the warnings."""
    warnings: list[str] = []
    check(load.parse(json.dumps(document).encode(), "config.json", warnings.append))
    return warnings


def test_the_first_config_is_right() -> None:
    assert checked(template.config()) == []


@pytest.mark.parametrize(
    ("path", "value", "error", "named"),
    [
        ("ociVersion", "0.9", InvalidBundle, "ociVersion"),
        ("ociVersion", "2.0.0", InvalidBundle, "ociVersion"),
        ("root", None, InvalidBundle, "root.path"),
        ("process.args", [], InvalidBundle, "process.args"),
        ("process.cwd", "relative", InvalidBundle, "process.cwd"),
        ("process.env", ["A"], InvalidBundle, "process.env"),
        ("process.oomScoreAdj", 1001, InvalidBundle, "process.oomScoreAdj"),
        ("process.apparmorProfile", "x", Unsupported, "process.apparmorProfile"),
        ("process.selinuxLabel", "x", Unsupported, "process.selinuxLabel"),
        ("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2, InvalidBundle, "process.rlimits"),
        ("process.args", "sh", InvalidBundle, r"process\.args: expected a list"),
        ("mounts", [{"destination": "relative"}], InvalidBundle, "not an absolute path"),
        ("mounts", [{"destination": "/x", "options": ["idmap"]}], Unsupported, "idmap"),
        ("mounts", [{"destination": "/x", "uidMappings": MAP}], InvalidBundle, "needs both"),
        ("linux.namespaces", [{"type": "pid"}], InvalidBundle, "hostname"),
        ("linux.namespaces", [{"type": "uts"}], Unsupported, "no mount namespace"),
        ("linux.namespaces", [{"type": "uts"}, {"type": "uts"}], InvalidBundle, "twice"),
        ("linux.namespaces", [{"type": "uts"}, {"type": "other"}], Unsupported, "other"),
        ("linux.uidMappings", MAP, InvalidBundle, "linux.uidMappings"),
        ("linux.timeOffsets", {"boottime": {"secs": 1}}, InvalidBundle, "linux.timeOffsets"),
        ("linux.intelRdt", {"closID": "x"}, Unsupported, "linux.intelRdt"),
        ("linux.memoryPolicy", {"mode": "x"}, Unsupported, "linux.memoryPolicy"),
        ("linux.netDevices", {"eth0": {}}, Unsupported, "linux.netDevices"),
        ("linux.mountLabel", "x", Unsupported, "linux.mountLabel"),
        ("linux.personality", {"domain": "OTHER"}, InvalidBundle, "linux.personality.domain"),
        ("linux.personality", {"domain": "LINUX", "flags": ["X"]}, Unsupported, "linux.personality.flags"),
        ("linux.rootfsPropagation", "all", InvalidBundle, "linux.rootfsPropagation"),
        ("linux.maskedPaths", ["proc"], InvalidBundle, "linux.maskedPaths"),
        ("linux.sysctl", {"vm.swappiness": "1"}, InvalidBundle, "linux.sysctl"),
        ("linux.devices", [{"path": "/x", "type": "z"}], InvalidBundle, "linux.devices"),
        ("hooks.poststop", [{"path": "x"}], InvalidBundle, "hooks.poststop"),
        ("hooks.prestart", [{"path": "/x", "timeout": 0}], InvalidBundle, "hooks.prestart"),
    ],
)
def test_what_is_wrong_or_not_supported_is_named(
    path: str, value: Any, error: type[ContainerError], named: str
) -> None:
    with pytest.raises(error, match=re.escape(named) if "\\" not in named else named):
        checked(changed(path, value))


def test_what_nobody_knows_is_warned_of_and_null_is_nothing() -> None:
    document = changed("linux.unheardOf", {"x": 1}) | {"solaris": {}, "hooks": None}
    assert checked(document) == [
        "config.json: solaris isn't known and has no effect",
        "config.json: linux.unheardOf isn't known and has no effect",
    ]


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"ociVersion": 1}', b'{"ociVersion": "1.0.0", "root": {}}'])
def test_what_is_no_config(text: bytes) -> None:
    with pytest.raises(InvalidBundle, match=r"^config\.json: "):
        load.parse(text, "config.json", lambda _: None)


def test_capabilities_that_cannot_be_granted_are_left_out() -> None:
    names = ("CAP_NONE", "CAP_ALSO_NONE")
    sets = Capabilities(names, names, names, names, names)
    process, warnings = grantable(Process(("sh",), capabilities=sets))
    assert process.capabilities == Capabilities()
    assert warnings == [f"process.capabilities: {name} can't be granted" for name in sorted(names)]
