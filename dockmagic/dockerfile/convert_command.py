"""RUN, CMD, ENTRYPOINT and HEALTHCHECK from their nodes. Source: Dockerfile reference, "Shell and exec form", "RUN"."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from dockmagic.dockerfile.durations import parse_duration
from dockmagic.dockerfile.flags import Flags, Kind
from dockmagic.dockerfile.heredocs import heredoc_of
from dockmagic.dockerfile.instructions import Cmd, Command, Entrypoint, Healthcheck, Options, Run
from dockmagic.dockerfile.mounts import MountError, check_name, is_settled, mount_of, read_option
from dockmagic.dockerfile.nodes import Node, Position
from dockmagic.dockerfile.words import first_word, json_strings
from dockmagic.errors import one_of

_RUN_FLAGS: dict[str, Kind] = {"mount": "values", "network": "value", "security": "value", "device": "values"}
_HEALTH_FLAGS: dict[str, Kind] = {
    "interval": "value", "timeout": "value", "start-period": "value", "start-interval": "value", "retries": "value",
}  # fmt: skip
_NETWORKS = ("default", "none", "host")
_SECURITY = ("sandbox", "insecure")
_MIN_INTERVAL_NS = 10**6


def run(node: Node, escape: str) -> Run:
    """RUN [flags] command, with the here-documents as part of what the shell reads."""
    flags = Flags(node, _RUN_FLAGS)
    command = _command(node, node.rest)
    if not command.args:
        raise node.fault("RUN requires at least one argument; write RUN COMMAND")
    script = None
    if node.heredocs:
        whole = heredoc_of(node.rest) is not None
        bodies = [f"\n{heredoc.content}{heredoc.name}" for heredoc in node.heredocs]
        text = node.heredocs[0].content if whole else "".join([node.rest, *bodies])
        script = text if whole and text.startswith("#!") else None
        command = Command((text,), shell=True)
    mounts = tuple(_mount(node, text) for text in flags.values("mount"))
    return Run(
        command,
        mounts=mounts,
        mount_places=_places(node, len(mounts)),
        network=_choice(node, "network", flags.value("network"), _NETWORKS),
        security=_choice(node, "security", flags.value("security"), _SECURITY),
        devices=flags.values("device"),
        heredocs=node.heredocs,
        script=script,
    )


def cmd(node: Node, escape: str) -> Cmd:
    """CMD command, or CMD ["program", …]; CMD [] is none."""
    return Cmd(_default_command(node))


def entrypoint(node: Node, escape: str) -> Entrypoint:
    """ENTRYPOINT command, or ENTRYPOINT ["program", …]; ENTRYPOINT [] is none."""
    return Entrypoint(_default_command(node))


def _default_command(node: Node) -> Command:
    """The command of a CMD or ENTRYPOINT."""
    Flags(node, {})
    if not node.rest:
        raise node.fault(f"{node.name} requires at least one argument; write {node.name} [] for none")
    return _command(node, node.rest)


def _command(node: Node, text: str) -> Command:
    """The exec form if the text is a JSON array, else the shell form; without arguments if there is no text."""
    strings = json_strings(text)
    if strings is not None:
        return Command(strings, shell=False)
    return Command((text,) if text else (), shell=True)


def _choice(node: Node, flag: str, value: str | None, allowed: Sequence[str]) -> str | None:
    """The value, if it is one of those that the flag can have."""
    if value is not None and value not in allowed:
        raise node.fault(f"invalid value for --{flag}: {value!r}; use {one_of(allowed)}", f"--{flag}")
    return value


def _mount(node: Node, text: str) -> Options:
    """Names in lower case and values of one --mount, checked as far as variables let it be."""
    try:
        fields = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise node.fault(
            f"invalid --mount {text!r}: {error}; close quotes, and put commas between options", "--mount"
        ) from None
    if not fields:
        raise node.fault("--mount needs options, as in --mount=type=cache,target=/root/.cache", "--mount")
    options = tuple(_mount_option(node, field) for field in fields)
    if is_settled(options):
        try:
            mount_of(options)
        except MountError as error:
            written = {name: field for (name, _), field in zip(options, fields, strict=True)}
            raise node.fault(str(error), written.get(error.option, "--mount")) from None
    return options


def _mount_option(node: Node, field: str) -> tuple[str, str | None]:
    """Name and value of one option, None for a switch without a value."""
    name, equals, text = field.partition("=")
    option = (name.lower(), text if equals else None)
    if option[0] == "from" and "$" in text[:-1]:
        raise node.fault("'from' doesn't support variable expansion, define alias stage instead: FROM … AS NAME", field)
    try:
        (read_option if is_settled((option,)) else check_name)(*option)
    except MountError as error:
        raise node.fault(str(error), field) from None
    return option


def _places(node: Node, count: int) -> tuple[Position, ...]:
    """Where each of so many --mount flags stands."""
    places, offset = list[Position](), len(node.name)
    for _ in range(count):
        offset = max(node.text.find("--mount", offset + 1), offset)
        places.append(node.position(offset))
    return tuple(places)


def healthcheck(node: Node, escape: str) -> Healthcheck:
    """HEALTHCHECK [flags] CMD command, or HEALTHCHECK NONE."""
    flags = Flags(node, _HEALTH_FLAGS)
    kind, text = first_word(node.rest)
    if not kind:
        raise node.fault("HEALTHCHECK requires at least one argument; write HEALTHCHECK CMD COMMAND, or NONE")
    if kind.upper() == "NONE":
        if text or node.flags:
            raise node.fault("HEALTHCHECK NONE takes no arguments; write nothing else on the line")
        return Healthcheck(None)
    if kind.upper() != "CMD":
        raise node.fault(f'unknown type "{kind}" in HEALTHCHECK (try CMD)', kind)
    command = _command(node, text)
    if not command.args:
        raise node.fault("missing command after HEALTHCHECK CMD; write what to run")
    return Healthcheck(
        command,
        interval_ns=_interval(node, flags, "interval"),
        timeout_ns=_interval(node, flags, "timeout"),
        start_period_ns=_interval(node, flags, "start-period"),
        start_interval_ns=_interval(node, flags, "start-interval"),
        retries=_retries(node, flags.value("retries")),
    )


def _interval(node: Node, flags: Flags, name: str) -> int | None:
    """The flag's duration in ns, None if not given; 0 means the default."""
    text = flags.value(name)
    if text is None:
        return None
    try:
        duration = parse_duration(text)
    except ValueError as error:
        raise node.fault(f"--{name}: {error}", f"--{name}") from None
    if duration != 0 and duration < _MIN_INTERVAL_NS:
        raise node.fault(f"--{name} cannot be less than 1ms; write more, or 0 for the default", f"--{name}")
    return duration


def _retries(node: Node, text: str | None) -> int | None:
    """How often a check may fail, None if not given."""
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 10 or int(text) >= 2**31:
        raise node.fault(f"--retries needs a number from 0 up, not {text[:40]!r}", "--retries")
    return int(text)
