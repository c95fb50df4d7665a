"""An instruction with its variables replaced, in the fields that the instruction says are expanded.

All words of one instruction see the same values, those from before it. Source: Dockerfile reference, "Environment
replacement".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from dockmagic.dockerfile.expand import Expansion, expansion
from dockmagic.dockerfile.instructions import Expose, Instruction
from dockmagic.dockerfile.nodes import Heredoc
from dockmagic.dockerfile.ports import exposed_ports
from dockmagic.errors import DockerfileError

AnyInstruction = TypeVar("AnyInstruction", bound=Instruction)


@dataclass(frozen=True, slots=True)
class Names:
    """The variables that an instruction's words name, and those of them that aren't set though they should be."""

    used: frozenset[str]
    unset: frozenset[str]


def expand_instruction(instruction: AnyInstruction, env: Mapping[str, str], escape: str = "\\") -> AnyInstruction:
    """The instruction with its variables replaced and its words unquoted.

    Raises DockerfileError with the instruction's lines where `expand` does, and for ports that are none.
    """
    return _expanded(instruction, _Words(env, escape))


def expand_noting(
    instruction: AnyInstruction, env: Mapping[str, str], escape: str = "\\"
) -> tuple[AnyInstruction, Names]:
    """As `expand_instruction`, and what that looked up in `env`."""
    words = _Words(env, escape)
    expanded = _expanded(instruction, words)
    return expanded, Names(frozenset(words.used), frozenset(words.unset))


class _Words:
    """Expands words of any shape, and notes the names."""

    def __init__(self, env: Mapping[str, str], escape: str) -> None:
        self._env = env
        self._escape = escape
        self.used: set[str] = set()
        self.unset: set[str] = set()

    def expand(self, value: Any) -> Any:
        """The value with each text in it expanded: a text, None, a here-document, or tuples of them."""
        if isinstance(value, str):
            return self.noted(expansion(value, self._env, self._escape)).text
        if isinstance(value, tuple):
            return tuple(map(self.expand, value))
        if isinstance(value, Heredoc) and value.expand:
            return replace(value, content=self.noted(expansion(value.content, self._env, quotes=False)).text)
        return value

    def split(self, words: tuple[str, ...]) -> tuple[str, ...]:
        """The words expanded, each of which may become several or none."""
        expanded = [self.noted(expansion(word, self._env, self._escape)) for word in words]
        return tuple(word for result in expanded for word in result.words)

    def noted(self, result: Expansion) -> Expansion:
        """The same, with its names noted."""
        self.used |= result.used
        self.unset |= result.unset
        return result


def _expanded(instruction: AnyInstruction, words: _Words) -> AnyInstruction:
    """The instruction with its words expanded."""
    try:
        if isinstance(instruction, Expose):
            ports = words.split(instruction.ports)
            exposed_ports(ports)
            return replace(instruction, ports=ports)
        changes = {name: words.expand(getattr(instruction, name)) for name in instruction.expands}
    except DockerfileError as error:
        raise DockerfileError(error.message, line=instruction.line, end_line=instruction.end_line) from None
    except ValueError as error:
        raise DockerfileError(str(error), line=instruction.line, end_line=instruction.end_line) from None
    return replace(instruction, **changes)
