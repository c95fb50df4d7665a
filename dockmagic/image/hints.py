"""What a user can do where no registry can be reached."""

from __future__ import annotations


def bootstrap_hint(name: str) -> str:
    """The command that makes an image where no registry can be reached."""
    return f"`dockmagic image bootstrap {name.partition(':')[0]}` (in a notebook: %image_bootstrap)"
