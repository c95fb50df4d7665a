"""The flag --gpus. Source: docker run's reference, "Access an NVIDIA GPU"; docker/cli opts/gpus.go for its words."""

from __future__ import annotations

import csv

from dockmagic.errors import InvalidOption
from dockmagic.oci.options import GpuRequest

EVERY = -1


def gpus(text: str) -> GpuRequest:
    """GPUs as "all", a number, or "device=0", "capabilities=utility" and so on, with commas. Raises InvalidOption.

    >>> gpus('"device=0,1",capabilities=compute').devices
    ('0', '1')
    """
    given: dict[str, str] = {}
    for field in next(csv.reader([text]), []):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", field
        if key in given:
            raise InvalidOption(f"gpu request key {key!r} can be specified only once")
        if key not in {"count", "device", "driver", "capabilities"}:
            raise InvalidOption(
                f"unexpected key {key!r} in {field!r}; there are count, device, driver and capabilities"
            )
        given[key] = value
    if given.get("driver", "nvidia") != "nvidia":
        raise InvalidOption(f"could not select device driver {given['driver']!r}; the one there is is nvidia")
    if "count" in given and "device" in given:
        raise InvalidOption("cannot set both Count and DeviceIDs on device request; quote them: '\"device=0,1\"'")
    return GpuRequest(
        count=0 if "device" in given else _count(given.get("count", "1")),
        devices=_words(given.get("device", "")),
        capabilities=_words(given.get("capabilities", "")),
    )


def _count(text: str) -> int:
    """How many; -1 for all. Raises InvalidOption."""
    if text == "all":
        return EVERY
    if not text.isdecimal() or not int(text):
        raise InvalidOption(f'invalid count ({text}): value must be either "all" or an integer')
    return int(text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
