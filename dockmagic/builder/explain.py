"""Why a step ran, or why it needn't: what differs from its last run, in words. Pure.

    StepRun of the last time + StepRun of this time  ->  Explanation("COPY ./ ./: src/app.js changed", …)

A run is what a layer was made of: what the action is told, its variables, the files that it copies, the layers below.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dockmagic.builder.steps import Action
from dockmagic.dockerfile import instructions as df
from dockmagic.dockerfile.lint_style import is_secret

MOST_FILES: Final = 10_000  # that are remembered of a step
_IN_SHORT: Final = 3  # files that the short form names
_IN_FULL: Final = 50
_WIDTH: Final = 60  # of a value in a message
_LABEL_WIDTH: Final = 40
_WORDS: Final = {
    "argv": "command",
    "user": "user",
    "workdir": "working directory",
    "heredocs": "here-documents",
    "settings": "flags for RUN",
    "mtime_s": "SOURCE_DATE_EPOCH",
}
_PLAIN: Final = frozenset({"user", "workdir", "network", "destination", "chown", "chmod", "path"})
_UNTOLD: Final = frozenset({"env", "script_name"})  # compared otherwise, or said by another


@dataclass(frozen=True, slots=True)
class StepRun:
    """What a step's layer was made of; `parent` is the chain ID of the layers below, "" for none.

    `args` are the names in `env` that are build arguments. `content` is the digest of all that is copied, `files` those
    of its parts by path; `complete` is False where there were more than MOST_FILES.
    """

    key: str
    parent: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    args: tuple[str, ...] = ()
    content: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why: in a line, and everything that there is to say."""

    reason: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a step stands. `label` begins what is said of it; `below` is what to say where the layers below differ.

    `args` are the build arguments among its variables.
    """

    place: str
    label: str
    below: str
    args: tuple[str, ...] = ()


def step_run(
    key: str, parent: str | None, action: Action, args: tuple[str, ...], content: str, files: Mapping[str, str]
) -> StepRun:
    """What this run of the action is made of; of the files, the first MOST_FILES are remembered."""
    recipe = {f.name: getattr(action, f.name) for f in dataclasses.fields(action) if f.metadata.get("key", True)}
    inputs = {name: _text(value) for name, value in recipe.items() if name not in _UNTOLD}
    env = dict(pair.partition("=")[::2] for pair in recipe.get("env", ()))
    kept = dict(list(files.items())[:MOST_FILES]) if len(files) > MOST_FILES else files
    return StepRun(key, parent or "", inputs, env, args, content, kept, len(kept) == len(files))


def label_of(instruction: df.Instruction) -> str:
    """How messages call a step: COPY and ADD with what they copy."""
    words = [instruction.keyword]
    if isinstance(instruction, df.Copy | df.Add):
        words += [*instruction.sources, instruction.destination]
    return _cut(" ".join(words), _LABEL_WIDTH)


def hit(key: str, last_key: str | None, layer: str) -> Explanation:
    """Why a step needn't run: it is as it was, or as it was once before."""
    why = "nothing changed" if key == last_key else "built like this before"
    return Explanation(f"{why}: layer {layer}")


def miss(last: StepRun | None, now: StepRun, spot: Spot) -> Explanation:
    """Why a step has to run."""
    if last is None:
        return Explanation("not built before")
    if last.key == now.key:
        return Explanation("its layer isn't in the cache any more")
    return differences(last, now, spot)


def differences(last: StepRun, now: StepRun, spot: Spot) -> Explanation:
    """What differs: in the step itself, in its variables, in the files, and below; in this order."""
    short: list[str] = []
    full: list[str] = []
    for found, details in (
        _inputs(last, now, spot.label),
        _variables(last, now),
        _files(last, now, spot.label),
        _below(last, now, spot.below),
    ):
        short += found
        full += details
    if not short:
        return Explanation(f"{spot.label}: what it is made of changed")
    more = f"; and {len(short) - 2} more" if len(short) > 2 else ""
    return Explanation("; ".join(short[:2]) + more, tuple(full))


_Told = tuple[Sequence[str], Sequence[str]]  # in short, in full


def _inputs(last: StepRun, now: StepRun, label: str) -> _Told:
    """What the action was told otherwise."""
    short: list[str] = []
    full: list[str] = []
    for name in sorted(last.inputs.keys() | now.inputs.keys()):
        before, after = last.inputs.get(name, ""), now.inputs.get(name, "")
        if before == after:
            continue
        word = _WORDS.get(name, name.replace("_", " "))
        if name in _PLAIN:
            short.append(f"{label}: {word} changed from {_shown(before)} to {_shown(after)}")
            full.append(short[-1])
        else:
            short.append(f"{label}: {word} changed")
            full += [short[-1], f"  before: {_cut(before, 500)}", f"  now:    {_cut(after, 500)}"]
    return short, full


def _variables(last: StepRun, now: StepRun) -> _Told:
    """Variables that came, went or changed; what may be a secret isn't shown."""
    told = [
        f"{'ARG' if name in now.args or name in last.args else 'ENV'} {name}: "
        + _change(name, last.env.get(name), now.env.get(name))
        for name in sorted(last.env.keys() | now.env.keys())
        if last.env.get(name) != now.env.get(name)
    ]
    return told, told


def _change(name: str, before: str | None, after: str | None) -> str:
    """What became of a variable."""
    if after is None:
        return "removed"
    if is_secret(name):
        return "added" if before is None else "value changed"
    return f"added, {_shown(after)}" if before is None else f"value changed from {_shown(before)} to {_shown(after)}"


def _files(last: StepRun, now: StepRun, label: str) -> _Told:
    """Files that came, went or changed. Where not all are known, only changes are told for sure."""
    if last.content == now.content:
        return (), ()
    changes = list(_changes(last, now))
    if not changes:
        more = "" if last.complete and now.complete else f"; there are more than {MOST_FILES:,}, not all are compared"
        told = [f"{label}: files changed{more}"]
        return told, told
    return [f"{label}: {_listed(changes, _IN_SHORT)}"], [f"{label}:", *_lines(changes)]


def _changes(last: StepRun, now: StepRun) -> Iterator[str]:
    """Each file that is different, with what happened to it."""
    certain = last.complete and now.complete
    for path in sorted(last.files.keys() | now.files.keys()):
        before, after = last.files.get(path), now.files.get(path)
        if before == after or not (certain or (before and after)):
            continue
        what = "added" if before is None else "removed" if after is None else "changed"
        yield f"{path or '.'} {what}"


def _below(last: StepRun, now: StepRun, below: str) -> _Told:
    """That the layers below are others."""
    told = [below] if last.parent != now.parent else []
    return told, told


def _listed(changes: Sequence[str], most: int) -> str:
    """The first changes as a phrase."""
    more = len(changes) - most
    return ", ".join(changes[:most]) + (f" and {more} more" if more > 0 else "")


def _lines(changes: Sequence[str]) -> Iterable[str]:
    """The first changes, one a line."""
    yield from (f"  {change}" for change in changes[:_IN_FULL])
    if len(changes) > _IN_FULL:
        yield f"  and {len(changes) - _IN_FULL} more"


def _text(value: object) -> str:
    """An input as a text that differs where the input does."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)


def _shown(value: str) -> str:
    """A value in a message: quoted unless it is one word."""
    cut = _cut(value, _WIDTH)
    return cut if cut and not any(char.isspace() for char in cut) else json.dumps(cut, ensure_ascii=False)


def _cut(text: str, width: int) -> str:
    """The text, or its beginning."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
