"""What words expand to where PWD=/home, SHELL=bash, KOREAN=한국어 and NULL is empty: the cases of BuildKit's own table.

None is an error. The table has many of its rows twice, in Latin and in Korean letters, and for each positional and
special parameter; here these are made from one.
"""

from __future__ import annotations

ENV = {"PWD": "/home", "SHELL": "bash", "KOREAN": "한국어", "NULL": ""}

_AFTER_A_WORD: tuple[tuple[str, str | None], ...] = (
    ("'l'x", "lx"), ("'lx", None), ("\\'lx", "'lx"), ("\\\\'lx", None), ("\\tx", "tx"), ("\\", ""), ("\\\\", "\\"),
    ("$1x", "x"), ("$.x", "$.x"), ("$pwd.", "."), ("$PWD", "/home"), ("\\$PWD", "$PWD"), ("\\\\$PWD", "\\/home"),
    ("\\${}", "${}"), ("\\${}xx", "${}xx"), ("${}", None), ("${}xx", None), ("${hi}", ""), ("${hi}xx", "xx"),
    ("${PWD}", "/home"), ("${.}", None), ("${XXX:-000}xx", "000xx"), ("${PWD:-000}xx", "/homexx"),
    ("${XXX:-$PWD}xx", "/homexx"), ("${XXX:-${PWD:-yyy}}xx", "/homexx"), ("${XXX:-${YYY:-yyy}}xx", "yyyxx"),
    ("${XXX:YYY}", None), ("${XXX?}", None), ("${XXX:?}", None), ("${PWD?}", "/home"), ("${PWD:?}", "/home"),
    ("${NULL?}", ""), ("${NULL:?}", None), ("${XXX:+${PWD}}xx", "xx"), ("${PWD:+${XXX}}xx", "xx"),
    ("${PWD:+${SHELL}}xx", "bashxx"), ("${XXX:+000}xx", "xx"), ("${PWD:+000}xx", "000xx"), ("${PWD", None),
    ("${PWD:=000}xx", None), ("${PWD:+${PWD}:}xx", "/home:xx"), ("${XXX:-\\$PWD:}xx", "$PWD:xx"),
    ("${XXX:-\\${PWD}z}xx", "${PWDz}xx"), ("$KOREAN", "한국어"),
)  # fmt: skip
_ALONE: tuple[tuple[str, str | None], ...] = (
    ("$.", "$."), ("\\${}", "${}"), ("\\${}aaa", "${}aaa"), ("${}", None), ("${}aaa", None), ('"$PWD"', "/home"),
    ("'$PWD'", "$PWD"), ("'\\$PWD'", "\\$PWD"), ("\"''\"", "''"), ("$KOREAN", "한국어"), ("${{aaa}", None), ("${aaa}}",
    "}"),
    ("${aaa", None), ("${{aaa:-bbb}", None), ("${aaa:-bbb}}", "bbb}"), ("${aaa:-bbb", None), ("${aaa:-bbb}", "bbb"),
    ("${aaa:-${bbb:-ccc}}", "ccc"), ("${aaa:-bbb ${foo}", None), ("${aaa:-bbb {foo}", "bbb {foo"), ("${:}", None),
    ("${:-bbb}", None), ("${:+bbb}", None), ("$999aaa", "aaa"), ("$001aaa", "aaa"), ("$@@@", "@@"), ("$@aaa", "aaa"),
    ("abc\\tdef", "abctdef"),
)  # fmt: skip
_WORDS = ("he", "hello", "abc", "안녕", "안녕하세요")
_UNSET = (*"0123456789@*#?-$!", "999", "001")


def _quoted(word: str) -> list[tuple[str, str | None]]:
    """A word in quotes that close or don't, with escapes, quotes and variables in them."""
    return [
        (word, word), (f"'{word}", None), (f'"{word}', None), (f'"{word}\\"', None), (f"'{word}\\'", f"{word}\\"),
        (f'"{word}\\tx"', f"{word}\\tx"), (f'"{word}\\\\tx"', f"{word}\\tx"), (f"'{word}\\tx'", f"{word}\\tx"),
        (f"'{word}\\\\x'", f"{word}\\\\x"), (f"'{word}\\tx", None), (f'"{word}\'x"', f"{word}'x"),
        (f"'\"{word}\"'", f'"{word}"'), (f"'{word}${{XX}}'", f"{word}${{XX}}"), (f'"{word}${{PWD}}"', f"{word}/home"),
        (f"\"{word}'$PWD'\"", f"{word}'/home'"), (f'"{word}\\$PWD"', f"{word}$PWD"),
        (f'"{word}\\\\$PWD"', f"{word}\\/home"), (f"'{word}\\$PWD'", f"{word}\\$PWD"),
    ]  # fmt: skip


def _unset(name: str) -> list[tuple[str, str | None]]:
    """A positional or special parameter, which is never set in a Dockerfile."""
    return [
        (f"${name}", ""), (f"${{{name}}}", ""), (f"${{{name}:+bbb}}", ""), (f"${{{name}:-bbb}}", "bbb"),
        (f"${{{name}}}aaa", "aaa"), (f"${{{name}:+bbb}}aaa", "aaa"), (f"${{{name}:-bbb}}aaa", "bbbaaa"),
    ]  # fmt: skip


def rows() -> dict[str, str | None]:
    """The words with what they expand to."""
    made = dict(_ALONE)
    for word in _WORDS:
        made.update(_quoted(word))
        made.update({word + rest: None if end is None else word + end for rest, end in _AFTER_A_WORD})
    for name in _UNSET:
        made.update(_unset(name))
    return made
