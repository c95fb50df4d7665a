"""Neighbours that are known from a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from dockmagic.network.answers import Address


class Known:
    """Names with their addresses."""

    def __init__(self, table: Mapping[str, Sequence[str]]) -> None:
        self._table = {name: [ip_address(text) for text in texts] for name, texts in table.items()}

    def addresses(self, name: str) -> Sequence[Address]:
        """Those of the name."""
        return self._table.get(name, [])

    def name(self, address: Address) -> str:
        """The name that has the address."""
        return next((name for name, found in self._table.items() if address in found), "")
