"""How a build shows what it does: the values of --progress. Source: docker build's reference; BuildKit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from dockmagic.errors import InvalidOption, one_of
from dockmagic.events import OnEvent


class ProgressStyle(Enum):
    """One of the ways."""

    AUTO = "auto"  # the best that the door has
    PLAIN = "plain"
    TTY = "tty"  # renewed in place
    QUIET = "quiet"
    RAWJSON = "rawjson"
    CLASSIC = "classic"  # as builders before BuildKit


def style_named(text: str) -> ProgressStyle:
    """The style of this name. Raises InvalidOption."""
    try:
        return ProgressStyle(text)
    except ValueError:
        names = one_of([style.value for style in ProgressStyle])
        raise InvalidOption(f"{text!r} isn't a way of showing progress; it can be {names}") from None


def chosen_style(flag: ProgressStyle | None, quiet: bool, environ: Mapping[str, str]) -> ProgressStyle:
    """What a build's flags choose, else `$DOCKER_BUILDKIT` (0: classic), else `$BUILDKIT_PROGRESS`.

    Raises InvalidOption where they contradict each other or can't be read.
    """
    if quiet:
        if flag not in {None, ProgressStyle.AUTO, ProgressStyle.QUIET}:
            raise InvalidOption(f"--progress={flag.value} and --quiet can't be used together")
        return ProgressStyle.QUIET
    if flag is not None:
        return flag
    if environ.get("DOCKER_BUILDKIT", "").lower() in {"0", "f", "false"}:
        return ProgressStyle.CLASSIC
    try:
        return style_named(environ.get("BUILDKIT_PROGRESS") or "auto")
    except InvalidOption as error:
        raise InvalidOption(f"BUILDKIT_PROGRESS: {error}") from None


def in_lines(style: ProgressStyle | None, write_line: Callable[[str], None]) -> OnEvent:
    """A receiver that writes lines in this style; plain ones where the style has no lines of its own."""
    if style is ProgressStyle.CLASSIC:
        from dockmagic.commands.classic import ClassicProgress

        return ClassicProgress(write_line)
    if style is ProgressStyle.RAWJSON:
        from dockmagic.commands.rawjson import JsonProgress

        return JsonProgress(write_line)
    from dockmagic.commands.progress import PlainProgress

    return PlainProgress(write_line)
