from __future__ import annotations

from collections.abc import Mapping

import pytest

from dockmagic.commands.classic import ClassicProgress
from dockmagic.commands.progress import PlainProgress
from dockmagic.commands.progress_style import ProgressStyle, chosen_style, in_lines, style_named
from dockmagic.commands.rawjson import JsonProgress
from dockmagic.errors import InvalidOption


@pytest.mark.parametrize(
    ("flag", "quiet", "environ", "style"),
    [
        (None, False, {}, ProgressStyle.AUTO),
        (None, False, {"BUILDKIT_PROGRESS": "plain"}, ProgressStyle.PLAIN),
        (None, False, {"BUILDKIT_PROGRESS": "plain", "DOCKER_BUILDKIT": "0"}, ProgressStyle.CLASSIC),
        (None, False, {"DOCKER_BUILDKIT": "1"}, ProgressStyle.AUTO),
        (ProgressStyle.TTY, False, {"DOCKER_BUILDKIT": "0"}, ProgressStyle.TTY),
        (None, True, {"BUILDKIT_PROGRESS": "plain"}, ProgressStyle.QUIET),
        (ProgressStyle.QUIET, False, {}, ProgressStyle.QUIET),
    ],
)
def test_flag_before_environment(
    flag: ProgressStyle | None, quiet: bool, environ: Mapping[str, str], style: ProgressStyle
) -> None:
    assert chosen_style(flag, quiet, environ) is style


def test_what_cannot_be_chosen() -> None:
    with pytest.raises(InvalidOption, match="--progress=plain and --quiet can't be used together"):
        chosen_style(ProgressStyle.PLAIN, True, {})
    with pytest.raises(InvalidOption, match=r"BUILDKIT_PROGRESS: 'fancy' isn't a way .* auto, plain, tty, quiet"):
        chosen_style(None, False, {"BUILDKIT_PROGRESS": "fancy"})
    with pytest.raises(InvalidOption, match="'none' isn't"):
        style_named("none")


def test_lines_in_every_style() -> None:
    receivers = [in_lines(style, lambda line: None) for style in (None, *ProgressStyle)]
    kinds = [PlainProgress, PlainProgress, PlainProgress, PlainProgress, PlainProgress, JsonProgress, ClassicProgress]
    assert [type(receiver) for receiver in receivers] == kinds
