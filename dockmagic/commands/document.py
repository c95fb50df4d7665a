"""Values of --format for whole documents, as of inspect: `json`, and Go templates (template_language).

    {{.Config.Cmd}}   a field of a field       {{json .Config}}   a part as JSON       {{json .}}   all of it

Source: Docker's reference, "Format command and log output".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dockmagic.commands import template_language
from dockmagic.commands.template_functions import compact
from dockmagic.commands.template_language import GoTemplate

__all__ = ["DocumentTemplate", "compact", "parse"]


@dataclass(frozen=True)
class DocumentTemplate:
    """What to make of a document."""

    template: GoTemplate

    @property
    def fields(self) -> frozenset[str]:
        """The first names that are asked for, in lower case; "" is the whole."""
        return frozenset(name.lower() for name in self.template.fields)

    def shown(self, document: Mapping[str, Any]) -> str:
        """The template with the document's values. Raises InvalidOption for a field that isn't there."""
        return self.template.shown(document)


def parse(text: str) -> DocumentTemplate:
    """A template. Raises InvalidOption.

    >>> parse("{{.Os}}: {{json .Config.Cmd}}").shown({"Os": "linux", "Config": {"Cmd": ["sh"]}})
    'linux: ["sh"]'
    """
    return DocumentTemplate(template_language.parse("{{json .}}" if text == "json" else text))
