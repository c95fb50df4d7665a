from __future__ import annotations

import pytest

from dockmagic.commands.document import parse
from dockmagic.errors import InvalidOption

DOCUMENT = {"Id": "1", "Config": {"Cmd": ["sh", "-c"], "Tty": False, "Env": None, "Labels": {"b": "2", "a": "1"}}}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.Id}}", "1"),
        (r"{{ .Id }}\t{{.Config.Cmd}}", "1\t[sh -c]"),
        ("{{.Config.Labels}} {{.Config.Tty}} {{.Config.Env}}", "map[a:1 b:2] false <no value>"),
        ("{{json .Config.Cmd}}", '["sh","-c"]'),
        ("{{.id}}{{.config.labels.a}}", "11"),
        ("plain", "plain"),
    ],
)
def test_fields_of_fields(template: str, expected: str) -> None:
    assert parse(template).shown(DOCUMENT) == expected


def test_all_of_it() -> None:
    assert parse("json").shown(DOCUMENT) == parse("{{json .}}").shown(DOCUMENT)
    assert parse("json").shown({"a": "\x1b[2J\x9b"}) == '{"a":"\\u001b[2J\\u009b"}'
    assert parse("{{.a}}").shown({"a": "\x1b[2J"}) == "\\u001b[2J"


def test_what_is_asked_for() -> None:
    assert parse("{{.Name}} {{json .Image.Os}}").fields == {"name", "image"}
    assert parse("json").fields == {""}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{.Nothing}}", r"no Nothing; there are \.Id or \.Config"),
        ("{{.Config.Cmd.x}}", "no x; it lies in no object"),
    ],
)
def test_fields_that_there_aren_t(template: str, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        parse(template).shown(DOCUMENT)


@pytest.mark.parametrize("template", ["{{range .Config.Cmd}}{{.}}", "{{nosuch .Config.Cmd 0}}", "{{"])
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(InvalidOption, match="--format: "):
        parse(template)
