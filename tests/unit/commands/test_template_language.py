from __future__ import annotations

from typing import Any

import pytest

from dockmagic.commands.template_functions import printf
from dockmagic.commands.template_language import parse
from dockmagic.errors import InvalidOption

DOCUMENT: dict[str, Any] = {
    "Name": "/burn",
    "State": {"Status": "running", "Pid": 7, "OOMKilled": False, "Health": None},
    "Config": {"Cmd": ["sh", "-c"], "Labels": {"com.x/y": "z", "a": "b"}, "Env": ["A=1", "B=2"]},
    "Mounts": [{"Source": "/a", "RW": True}, {"Source": "/b", "RW": False}],
    "Ports": {},
    "Size": 1.5,
}


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "/burn"),
        ("{{ .state.pid }}", "7"),
        ("{{json .State}}", '{"Status":"running","Pid":7,"OOMKilled":false,"Health":null}'),
        ("{{.State.Health}}", "<no value>"),
        ("{{.Config.Cmd}} {{.Ports}} {{.Size}}", "[sh -c] map[] 1.5"),
        ('{{index .Config.Labels "com.x/y"}}', "z"),
        ("{{index .Config.Labels `none`}}", ""),
        ("{{index .Config.Cmd 1}}", "-c"),
        ("{{(index .Mounts 0).Source}}", "/a"),
        ("{{range .Mounts}}{{.Source}}:{{$.Name}} {{end}}", "/a:/burn /b:/burn "),
        ("{{range $i, $m := .Mounts}}{{$i}}{{$m.Source}}{{end}}", "0/a1/b"),
        ("{{range $m := .Mounts}}{{$m.RW}} {{end}}", "true false "),
        ("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=b;com.x/y=z;"),
        ("{{range .Ports}}x{{else}}none{{end}}", "none"),
        ("{{if .State.OOMKilled}}a{{else if .Ports}}b{{else}}c{{end}}", "c"),
        ('{{if eq .State.Status "exited" "running"}}up{{end}}', "up"),
        ('{{if and .Name (not .Ports) (ne .State.Pid 8)}}{{or "" "x"}}{{end}}', "x"),
        ("{{with .State}}{{.Pid}}{{end}}{{with .State.Health}}{{.Log}}{{else}}no{{end}}", "7no"),
        ("{{with $s := .State}}{{$s.Pid}}{{end}}", "7"),
        ("{{$x := .State.Pid}}{{$x}}", "7"),
        ("{{upper .Name}} {{.Name | lower | title}}", "/BURN /Burn"),
        ('{{join .Config.Cmd ", "}}', "sh, -c"),
        ('{{index (split "a=b" "=") 1}} {{len .Config.Env}}', "b 2"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"),
        ('{{printf "%-6s|%03d|%q" .Name .State.Pid "x"}}', '/burn |007|"x"'),
        ('{{.Name | printf "%.3s%%"}}', "/bu%"),
        ('{{slice .Name 1}}{{slice .Name 1 3}}{{truncate .Name 2}}{{pad "x" 1 1}}|', "burnbu/b x |"),
        ("{{lt .State.Pid 8}} {{ge .State.Pid 8}} {{true}} {{nil}}", "true false true <no value>"),
        ("a  {{- .Name -}}  b {{/* nothing */}}c", "a/burnb c"),
        (r"{{.Name}}\t{{.State.Pid}}\n", "/burn\t7\n"),
        ('{{"a}}b"}}', "a}}b"),
        ("{{html `<a>`}} {{urlquery `a b`}} {{print 1 `x`}}", "&lt;a&gt; a+b 1x"),
    ],
)
def test_what_a_template_shows(template: str, shown: str) -> None:
    assert parse(template).shown(DOCUMENT) == shown


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{", "unclosed action"),
        ("{{.Name", "unclosed action"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{range .Mounts}}", "no {{end}}"),
        ("{{if .Name}}a{{else}}b", "no {{end}}"),
        ("{{nosuch .Name}}", "function 'nosuch' not defined"),
        ("{{.Name !}}", "unexpected"),
        ("{{(.Name}}", "unclosed left paren"),
        ("{{.Name )}}", "unexpected"),
        ("{{}}", "a value is missing"),
        ("{{.Name | }}", "a value is missing"),
    ],
)
def test_what_is_no_template(template: str, words: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse(template)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{.Nothing}}", "names no field: no Nothing"),
        ("{{.Name.X}}", "it lies in no object"),
        ("{{$x}}", "undefined variable $x"),
        ("{{index .Config.Cmd 9}}", "out of range"),
        ("{{index .State.Health 0}}", "untyped nil"),
        ("{{split .Name}}", "error calling split"),
        ("{{.Name 1}}", "non-function"),
    ],
)
def test_what_a_value_lacks(template: str, words: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse(template).shown(DOCUMENT)
    assert words in str(caught.value)


def test_fields_are_those_of_the_whole() -> None:
    assert parse("{{.A.B}}{{range .C}}{{.D}}{{$.E}}{{end}}{{if .F}}{{.G}}{{end}}").fields == set("ACEFG")
    assert parse("{{json .}}").fields == {""}


def test_methods_are_called_and_left_out_of_json() -> None:
    row = {"Names": "burn", "Label": {"a": "b"}.get}
    assert parse('{{.Label "a"}}').shown(row) == "b"
    assert parse("{{json .}}").shown(row) == '{"Names":"burn"}'


def test_control_characters_are_shown_as_escapes() -> None:
    assert parse("{{.A}}").shown({"A": "\x1b[2J"}) == "\\u001b[2J"


@pytest.mark.parametrize(
    ("form", "values", "shown"),
    [
        ("%d %x %X %o", (1, 255, 255, 8), "1 ff FF 10"),
        ("%5.1f|%e", (1.25, 1.0), "  1.2|1.000000e+00"),
        ("%t %v %v", (True, None, {"a": 1}), "true <no value> map[a:1]"),
        ("%d %s", ("x",), "%!d(x) %!s(MISSING)"),
        ("%x", ("ab",), "6162"),
    ],
)
def test_printf(form: str, values: tuple[Any, ...], shown: str) -> None:
    assert printf(form, *values) == shown
