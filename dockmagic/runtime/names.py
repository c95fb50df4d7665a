"""Names for containers: what users may choose, and one made up for who doesn't. Source: `docker run --name`."""

from __future__ import annotations

import re
import secrets
from collections.abc import Container
from typing import Final

from dockmagic.errors import InvalidOption

_LEGAL: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_ADJECTIVES: Final = (
    "able amber bold brave bright brisk calm candid clever cosmic crisp daring deft eager early fair "
    "famous fine fond gentle glad golden grand happy hardy honest humble keen kind lively lucid lucky "
    "mellow merry mild modest neat nimble noble patient plucky polite proud quick quiet rapid ready "
    "serene sharp silent sincere smart snug steady sunny swift tidy vivid warm wise witty zesty"
).split()
_SURNAMES: Final = (
    "abel archimedes babbage banach bell bohr boole bose brahe cantor carson cauchy curie darwin dijkstra "
    "dirac einstein euclid euler faraday fermat fermi feynman fourier franklin galileo galois gauss "
    "germain goodall hamilton hawking heisenberg hilbert hopper hubble hypatia joule kepler knuth "
    "kovalevskaya lagrange lamarr leibniz liskov lovelace maxwell meitner mendel mirzakhani newton "
    "noether pascal pasteur planck ramanujan ritchie shannon tesla thompson torvalds turing volta wiles "
    "wozniak yalow"
).split()


def check(name: str) -> None:
    """Raise InvalidOption unless the name is one that a container may have."""
    if not _LEGAL.fullmatch(name):
        raise InvalidOption(f"--name {name!r}: only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, and at least two of them")


def invent(taken: Container[str]) -> str:
    """An adjective and the surname of somebody of science, not taken yet."""
    while True:
        name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_SURNAMES)}"
        if name not in taken:
            return name
        name = f"{name}{secrets.randbelow(10)}"
        if name not in taken:
            return name
