"""The keys that leave a process in a terminal without ending it. Source: `docker attach --detach-keys`."""

from __future__ import annotations

from typing import Final

from dockmagic.errors import InvalidOption

DEFAULT: Final = "ctrl-p,ctrl-q"
_CONTROLS: Final = {f"ctrl-{chr(code).lower()}": code & 0x1F for code in range(ord("@"), ord("_") + 1)}


def parse(text: str) -> bytes:
    r"""The bytes that these keys send, separated by commas; raises InvalidOption.

    >>> parse("ctrl-p,ctrl-q"), parse("a,ctrl-\\")
    (b'\x10\x11', b'a\x1c')
    """
    codes = []
    for key in text.split(","):
        if len(key) == 1 and key.isascii():
            codes.append(ord(key))
        elif key.lower() in _CONTROLS:
            codes.append(_CONTROLS[key.lower()])
        else:
            hint = "write single characters, or ctrl- and one of a-z @ [ \\ ] ^ _, with commas between"
            raise InvalidOption(f"invalid detach keys ({text}): unknown character: '{key}'; {hint}")
    return bytes(codes)


class DetachKeys:
    """Looks for the keys in what is typed; a beginning of them is held back until it is clear what follows."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._seen = 0

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """What of the input goes on, and whether the keys were typed, after which nothing does."""
        passed = bytearray()
        for code in data:
            if code != self._keys[self._seen]:
                passed += self._keys[: self._seen]
                self._seen = 0
            if code != self._keys[self._seen]:
                passed.append(code)
                continue
            self._seen += 1
            if self._seen == len(self._keys):
                return bytes(passed), True
        return bytes(passed), False
