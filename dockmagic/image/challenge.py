"""The challenge of a registry: the ways in that it offers to who isn't known. Pure.

Sources: RFC 9110 section 11.6.1 (WWW-Authenticate), RFC 6750 section 3 (Bearer), distribution's spec/auth/token.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_TOKEN68: Final = r"[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))"
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:\s+{_TOKEN68})?(?=[\s,]|$)(?!\s*=)")
_PARAMETER = re.compile(rf'\s*,?\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that a registry offers; `scheme` and the names of parameters in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Challenges of a WWW-Authenticate header, in order; what can't be read ends the list.

    >>> parse_challenges('Bearer realm="https://a/t",service="s", Basic realm="r"')[1]
    Challenge(scheme='basic', parameters={'realm': 'r'})
    """
    challenges: list[Challenge] = []
    position = 0
    while match := _SCHEME.match(header, position):
        parameters, position = _parameters(header, match.end())
        challenges.append(Challenge(match[1].lower(), parameters))
    return tuple(challenges)


def _parameters(header: str, position: int) -> tuple[dict[str, str], int]:
    """Parameters that start at `position`, and the position after them."""
    parameters: dict[str, str] = {}
    while match := _PARAMETER.match(header, position):
        quoted, bare = match[2], match[3]
        parameters[match[1].lower()] = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        position = match.end()
    return parameters, position
