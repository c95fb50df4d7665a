"""A health check as it is run: the user's over the image's, with Docker's defaults. Pure.

Source: Dockerfile reference, "HEALTHCHECK"; docker run's reference, "HEALTHCHECK".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Final

from dockmagic.oci.image import Healthcheck

SECOND_NS: Final = 10**9
DEFAULTS: Final = Healthcheck(
    test=(), interval=30 * SECOND_NS, timeout=30 * SECOND_NS, start_interval=5 * SECOND_NS, retries=3
)
OFF: Final = Healthcheck(("NONE",))
_SHELL: Final = ("/bin/sh", "-c")


def merged(given: Healthcheck | None, image: Healthcheck | None) -> Healthcheck | None:
    """What the user gave, and for the rest what the image has; None where neither has any."""
    return image if given is None else given if image is None else _filled(given, image)


def effective(check: Healthcheck | None, shell: Sequence[str]) -> Healthcheck | None:
    """The check with no value missing, its command in exec form; None where nothing is to be run.

    >>> effective(Healthcheck(("CMD-SHELL", "true"), retries=1), ()).test
    ('CMD', '/bin/sh', '-c', 'true')
    """
    kind = check.test[0] if check is not None and len(check.test) > 1 else "NONE"
    if check is None or kind not in ("CMD", "CMD-SHELL"):
        return None
    command = check.test[1:] if kind == "CMD" else (*(shell or _SHELL), *check.test[1:])
    return _filled(replace(check, test=("CMD", *command)), DEFAULTS)


def _filled(check: Healthcheck, other: Healthcheck) -> Healthcheck:
    """The check with the other's values where it has none."""
    missing = [each.name for each in fields(check) if not getattr(check, each.name)]
    return replace(check, **{name: getattr(other, name) for name in missing})
