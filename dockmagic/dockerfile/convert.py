"""A node into the instruction that it is: argument counts, forms and flags are checked here, values are not.

Messages follow Docker's where it has one. Source: Dockerfile reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from dockmagic.dockerfile import convert_command, convert_copy
from dockmagic.dockerfile.flags import Flags
from dockmagic.dockerfile.instructions import (
    Arg,
    Env,
    Expose,
    From,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Options,
    Pairs,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from dockmagic.dockerfile.nodes import Node
from dockmagic.dockerfile.parser import check_name, split_instruction
from dockmagic.dockerfile.words import SPACE, NotStrings, first_word, json_strings, split_blanks, split_quoted

_STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
_EXAMPLES = {"MAINTAINER": "NAME", "STOPSIGNAL": "SIGTERM", "USER": "NAME", "WORKDIR": "/PATH"}
_MAX_SHOWN = 60
_FROM_FORMS = (1, 3)  # FROM image; FROM image AS name


def instruction_of(node: Node, escape: str = "\\") -> Instruction:
    """The instruction that the node is; raises DockerfileError for one that can't be, whatever the build."""
    try:
        instruction = _READERS[node.name](node, escape)
    except NotStrings as error:
        raise node.fault(str(error), "[") from None
    return replace(instruction, line=node.line, end_line=node.end_line, text=node.text)


def _from(node: Node, escape: str) -> From:
    """FROM [--platform=P] image [AS name]."""
    flags = Flags(node, {"platform": "value"})
    words = split_blanks(node.rest)
    if len(words) not in _FROM_FORMS or (len(words) == _FROM_FORMS[1] and words[1].upper() != "AS"):
        raise node.fault("FROM requires either one or three arguments: FROM image, or FROM image AS name")
    name = words[2].lower() if len(words) == _FROM_FORMS[1] else None
    if name is not None and not _STAGE_NAME.fullmatch(name):
        raise node.fault(
            f'invalid name for build stage: "{words[2]}", name can\'t start with a number or contain symbols; '
            "write a letter first, then letters, digits, and -_.",
            words[2],
        )
    return From(words[0], flags.value("platform"), name)


def _env(node: Node, escape: str) -> Env:
    """ENV name=value …, or ENV name value."""
    pairs, legacy = _pairs(node, escape)
    return Env(pairs, legacy)


def _label(node: Node, escape: str) -> Label:
    """LABEL name=value …, or LABEL name value."""
    pairs, legacy = _pairs(node, escape)
    return Label(pairs, legacy)


def _pairs(node: Node, escape: str) -> tuple[Pairs, bool]:
    """Names and values, and whether it is the form without "="."""
    Flags(node, {})
    words, _ = split_quoted(node.rest, escape)
    if not words:
        raise node.fault(f"{node.name} requires at least one argument; write {node.name} NAME=VALUE")
    if "=" not in words[0]:
        name, value = first_word(node.rest)
        if not value:
            raise node.fault(f"{node.name} must have two arguments; write {node.name} {name[:40]}=VALUE", name)
        return ((name, value),), True
    return tuple(_pair(node, word) for word in words), False


def _pair(node: Node, word: str) -> tuple[str, str]:
    """Name and value of one `name=value`."""
    name, equals, value = word.partition("=")
    if not equals:
        raise node.fault(
            f'Syntax error - can\'t find = in "{word}". Must be of the form: name=value; quote a value that has blanks',
            word,
        )
    if not name:
        raise node.fault(f"{node.name} names can not be blank; write a name before the =", word)
    return name, value


def _arg(node: Node, escape: str) -> Arg:
    """ARG name[=default] …."""
    Flags(node, {})
    words, _ = split_quoted(node.rest, escape)
    if not words:
        raise node.fault("ARG requires at least one argument; write ARG NAME or ARG NAME=DEFAULT")
    pairs: Options = tuple(_pair(node, word) if "=" in word else (word, None) for word in words)
    return Arg(pairs)


def _one(node: Node) -> str:
    """The whole rest as the one argument."""
    Flags(node, {})
    if not node.rest:
        raise node.fault(f"{node.name} requires exactly one argument; write {node.name} {_EXAMPLES[node.name]}")
    return node.rest


def _expose(node: Node, escape: str) -> Expose:
    """EXPOSE port[-port][/protocol] …."""
    Flags(node, {})
    ports = tuple(split_blanks(node.rest))
    if not ports:
        raise node.fault("EXPOSE requires at least one argument; write EXPOSE 80")
    return Expose(ports)


def _volume(node: Node, escape: str) -> Volume:
    """VOLUME path …, or VOLUME ["path", …]."""
    Flags(node, {})
    strings = json_strings(node.rest)
    paths = split_blanks(node.rest) if strings is None else [path.strip(SPACE) for path in strings]
    if not paths:
        raise node.fault("VOLUME requires at least one argument; write VOLUME /PATH")
    if "" in paths:
        raise node.fault("VOLUME specified can not be an empty string; write a path, or leave it out", '"')
    return Volume(tuple(paths))


def _shell(node: Node, escape: str) -> Shell:
    """SHELL ["program", "argument", …]."""
    Flags(node, {})
    strings = json_strings(node.rest)
    if strings is None and node.rest:
        raise node.fault(
            f"SHELL requires the arguments to be in JSON form; write SHELL {_as_json(node.rest)}", node.rest
        )
    if not strings:
        raise node.fault('SHELL requires at least one argument; write SHELL ["/bin/sh", "-c"]')
    return Shell(strings)


def _as_json(text: str) -> str:
    """The words as a JSON array, or an example if they are many or were meant as one."""
    words = split_blanks(text)
    example = len(text) > _MAX_SHOWN or text.startswith("[")
    return json.dumps(["/bin/sh", "-c"] if example else words, ensure_ascii=False)


def _on_build(node: Node, escape: str) -> OnBuild:
    """ONBUILD instruction."""
    Flags(node, {})
    if not node.rest:
        raise node.fault(
            "ONBUILD requires at least one argument; write an instruction after it, as in ONBUILD COPY . /app"
        )
    name, flags, rest = split_instruction(node.rest)
    segments = tuple((offset - node.rest_offset, position) for offset, position in node.segments)
    trigger = replace(node, name=name, text=node.rest, flags=flags, rest=rest, segments=segments)
    check_name(trigger)
    if name == "ONBUILD":
        raise trigger.fault("chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed; write ONBUILD once")
    if name in {"FROM", "MAINTAINER"}:
        raise trigger.fault(
            f"{name} isn't allowed as an ONBUILD trigger; it can be any but FROM, MAINTAINER and ONBUILD"
        )
    expression = "".join([node.rest, *(f"\n{heredoc.content}{heredoc.name}" for heredoc in node.heredocs)])
    return OnBuild(instruction_of(trigger, escape), expression)


_READERS: Mapping[str, Callable[[Node, str], Instruction]] = {
    "ADD": convert_copy.add,
    "ARG": _arg,
    "CMD": convert_command.cmd,
    "COPY": convert_copy.copy,
    "ENTRYPOINT": convert_command.entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "FROM": _from,
    "HEALTHCHECK": convert_command.healthcheck,
    "LABEL": _label,
    "MAINTAINER": lambda node, _: Maintainer(_one(node)),
    "ONBUILD": _on_build,
    "RUN": convert_command.run,
    "SHELL": _shell,
    "STOPSIGNAL": lambda node, _: StopSignal(_one(node)),
    "USER": lambda node, _: User(_one(node)),
    "VOLUME": _volume,
    "WORKDIR": lambda node, _: Workdir(_one(node)),
}
