"""Which images or containers a prune takes: by age and by labels. Source: Docker's reference, "docker image prune"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """A label by its name, and by its value unless that is None."""

    name: str
    value: str | None = None

    def is_on(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels have it."""
        return self.name in labels and self.value in (None, labels[self.name])


@dataclass(frozen=True, slots=True)
class Selection:
    """Takes what was made before `until_ns` (ns since 1970; None: any time) and has all of the labels.

    What has all labels of `without` is left alone.
    """

    until_ns: int | None = None
    labels: tuple[Label, ...] = ()
    without: tuple[Label, ...] = ()

    def takes(self, created_ns: int, labels: Mapping[str, str]) -> bool:
        """Whether something of this age with these labels is taken."""
        if self.until_ns is not None and created_ns >= self.until_ns:
            return False
        spared = bool(self.without) and all(label.is_on(labels) for label in self.without)
        return not spared and all(label.is_on(labels) for label in self.labels)
