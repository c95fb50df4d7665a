"""Cases of a table: flags of `docker run`, what is looked at, and why another engine shows something else."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conformance.scene import Done, Side

_IDS: Final = re.compile(r"\b[0-9a-f]{64}\b"), re.compile(r"\b[0-9a-f]{12}\b")
_HOST: Final = re.compile(r"@([a-z/]+)@")
_MARK: Final = "=== "
_HELPERS: Final = f"""
cg() {{ for f; do [ -e /sys/fs/cgroup/$f ] && cat /sys/fs/cgroup/$f && return; done; echo none of: $*; }}
row() {{ while read -r line; do case "$line" in "$1"*) echo "$line";; esac; done < ${{2:-/proc/self/status}}; }}
at() {{ while read -r a b c d point options rest; do [ $point = $1 ] && echo "$options" "${{rest#*- }}"; done \
< /proc/self/mountinfo; true; }}
end() {{ s=$?; echo; echo "{_MARK}$s"; }}
"""
"""What looks may call: a cgroup's file by its names, a row of a table, a mount's options, kind and source."""


@dataclass(frozen=True)
class Differs:
    """Where podman shows something else: what dockmagic shows, as a pattern of it all, and why podman doesn't.

    It is what Docker shows, unless `why` says otherwise. With `on` "v1" or "v2" it holds only where the kernel's
    cgroups are of that version.
    """

    shown: str
    why: str
    on: str = ""

    def holds(self) -> bool:
        """Whether it is so on this kernel."""
        return self.on in ("", "v2" if pure_v2() else "v1")


@dataclass(frozen=True)
class Case:
    """A row of the table. `podman` are podman's own words for the flags, where it has others."""

    flags: str
    look: str
    differs: Differs | None = None
    podman: str | None = None

    def flags_of(self, side: Side) -> str:
        """The flags in an engine's words."""
        return self.podman if side.name == "podman" and self.podman is not None else self.flags

    def __str__(self) -> str:
        return f"{self.flags} | {self.look}"


@dataclass(frozen=True)
class Scene:
    """Cases that are looked at together, and what does that: it gives what is seen in each."""

    cases: tuple[Case, ...]
    perform: Callable[[Side], Sequence[str]]


def pure_v2() -> bool:
    """Whether this kernel's cgroups are all of version 2."""
    return Path("/sys/fs/cgroup/cgroup.controllers").exists()


def inside(*cases: Case, image: str = "probe") -> Scene:
    """One container with the flags of all the cases, in which each look is a shell script."""

    def perform(side: Side) -> Sequence[str]:
        flags = " ".join(dict.fromkeys(case.flags_of(side) for case in cases))
        looks = "".join(f"( {_filled(case.look)} ) 2>&1; end\n" for case in cases)
        done = side(f"run --rm {flags} {image} sh -c {shlex.quote(_HELPERS + looks)}")
        seen = re.split(rf"^{_MARK}(\d+)\n", done.stdout, flags=re.MULTILINE)
        assert len(seen) == 2 * len(cases) + 1, f"{side.name} didn't run to its end: {_told(done)} {done.stderr}"
        return [clean(_with_status(text, int(status))) for text, status in zip(seen[::2], seen[1::2], strict=False)]

    return Scene(cases, perform)


def outcome(line: str, differs: Differs | None = None, *, podman: str | None = None) -> Scene:
    """A container's run as its caller sees it: status, standard output, and standard error apart from it."""
    case = Case(line, "status, stdout, stderr", differs, podman)
    return Scene((case,), lambda side: [clean(_told(side(f"run --rm {_filled(case.flags_of(side))}")))])


def story(flags: str, *steps: str, differs: Differs | None = None) -> Scene:
    """A container `it`, and commands: the first makes it, with the flags in the place of FLAGS."""
    case = Case(flags, " · ".join(steps), differs)

    def perform(side: Side) -> Sequence[str]:
        begin, *rest = steps
        try:
            seen = [_told(side(_filled(begin.replace("FLAGS", f"--name it {flags}"))))]
            seen += [_told(side(_filled(step))) for step in rest]
        finally:
            _remove(side)
        return [clean("\n".join(seen))]

    return Scene((case,), perform)


def sets(mask: str) -> str:
    """Pattern of the five sets of capabilities of a process of root that has those of the mask."""
    given, none = f"{mask:0>16}", "0" * 16
    return "\n".join(
        f"Cap{name}:\t{value}"
        for name, value in zip(("Prm", "Eff", "Inh", "Amb", "Bnd"), (given, given, none, none, given), strict=True)
    )


def within(flags: str, *cases: Case) -> Scene:
    """A container `it` that sleeps, made with the flags; each look is a command such as `exec it true`."""

    def perform(side: Side) -> Sequence[str]:
        try:
            side(f"run -d --name it {flags} probe sleep 60")
            return [clean(_told(side(_filled(case.look)))) for case in cases]
        finally:
            _remove(side)

    return Scene(cases, perform)


def told(*cases: Case) -> Scene:
    """A container that was made with the flags of all the cases; each look is a template of what inspect tells."""

    def perform(side: Side) -> Sequence[str]:
        flags = " ".join(dict.fromkeys(case.flags for case in cases))
        try:
            side(f"create --name it {flags} probe true")
            done = side(f"inspect -f {shlex.quote(_MARK.join(case.look for case in cases))} it")
        finally:
            _remove(side)
        seen = done.stdout.split(_MARK)
        assert len(seen) == len(cases), f"{side.name} doesn't tell: {done.stderr}"
        return [clean(text) for text in seen]

    return Scene(cases, perform)


def _remove(side: Side) -> None:
    """Remove the container `it`."""
    side(f"rm -f {'-t 0 ' if side.name == 'podman' else ''}-v it")


def clean(text: str) -> str:
    """What is seen without what differs from container to container: IDs and host names made of them."""
    for pattern, name in zip(_IDS, ("ID", "SHORT-ID"), strict=True):
        text = pattern.sub(name, text)
    return text.strip()


def _filled(text: str) -> str:
    """With what this host has: `@ns/pid@` is a pattern of its PID namespace, as a link in /proc/self."""
    return _HOST.sub(lambda match: str(Path(f"/proc/self/{match[1]}").readlink()).replace("[", "."), text)


def _told(done: Done) -> str:
    """What a call told. Of an error of the engine only that there was one: each has its own words."""
    err = "" if done.returncode in (125, 126, 127) else done.stderr
    return "\n".join(part for part in (f"[{done.returncode}]", done.stdout, err and f"stderr: {err}") if part)


def _with_status(text: str, status: int) -> str:
    return f"{text.rstrip()}\n[{status}]" if status else text
