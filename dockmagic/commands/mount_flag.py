"""The flag `--mount`: fields with commas between them, as CSV. Source: docker/cli opts/mount.go; moby volume/mounts.

type=bind,source=/srv,target=/data,readonly      type=volume,src=name,dst=/data,volume-subpath=sub
type=tmpfs,target=/cache,tmpfs-size=64m          type=image,source=busybox,target=/image
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from dockmagic.commands.mounts import PROPAGATION, Bind, host_path
from dockmagic.commands.values import size_bytes
from dockmagic.commands.words import FALSE, TRUE
from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import READ_ONLY_TOP, Mount
from dockmagic.oci.volumes import IMAGE, VOLUME, VolumeMount, place
from dockmagic.volumes.local import check_name, check_options, driver

_ALIASES: Final = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_SWITCHES: Final = ("readonly", "volume-nocopy", "bind-create-src")
_GENERAL: Final = ("type", "source", "target", "readonly", "consistency")
_OWN: Final = {
    "bind": ("bind-propagation", "bind-recursive", "bind-create-src"),
    VOLUME: ("volume-subpath", "volume-nocopy", "volume-label", "volume-driver", "volume-opt"),
    "tmpfs": ("tmpfs-size", "tmpfs-mode"),
    IMAGE: ("image-subpath",),
}
_KNOWN: Final = frozenset((*_GENERAL, *(key for keys in _OWN.values() for key in keys)))
_RECURSIVE: Final = ("enabled", "disabled", "writable", "readonly")
_CONSISTENCY: Final = ("default", "consistent", "cached", "delegated")
_TMPFS: Final = ("noexec", "nosuid", "nodev")


@dataclass(frozen=True, slots=True)
class Fields:
    """What the flag says: the last value of each key, and every pair of those that may be given several times."""

    values: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Where it is mounted."""
        return place(self.values["target"])

    @property
    def source(self) -> str:
        """What is mounted, as it was written."""
        return self.values.get("source", "")

    def is_on(self, key: str) -> bool:
        """Whether a switch is on."""
        return self.values.get(key) in TRUE


def mount(text: str) -> Bind | Mount | VolumeMount:
    """What one `--mount` asks for. Raises InvalidOption in Docker's words."""
    fields = read(text)
    kind = fields.values["type"]
    _check_mix(fields, kind)
    _check_places(fields, kind)
    if kind == "bind":
        return _bind(fields)
    if kind == "tmpfs":
        return _tmpfs(fields)
    return _image(fields) if kind == IMAGE else _volume(fields)


def read(text: str) -> Fields:
    """The fields of the flag, each of a known key and with a value that it can have."""
    values, labels, options = {"type": VOLUME}, dict[str, str](), dict[str, str]()
    try:
        parts = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise InvalidOption(f"{text!r}: {error}; write key=value,key=value") from error
    if not parts:
        raise InvalidOption("value is empty; write type=bind,source=/DIR,target=/DIR")
    for part in parts:
        key, value = _field(part)
        if key in ("volume-label", "volume-opt"):
            name, _, content = value.partition("=")
            (labels if key == "volume-label" else options)[name] = content
        values[key] = value
    return Fields(values, labels, options)


def _field(part: str) -> tuple[str, str]:
    """Key and value of a field; a switch alone is on."""
    written, equals, value = part.partition("=")
    key = _ALIASES.get(written.lower(), written.lower())
    if key == "bind-nonrecursive":
        raise InvalidOption("bind-nonrecursive is deprecated, use bind-recursive=disabled instead")
    if not equals and key in _SWITCHES:
        return key, "true"
    if not equals:
        raise InvalidOption(f"invalid field '{part}' must be a key=value pair")
    if key not in _KNOWN:
        raise InvalidOption(f"unknown option '{written}' in '{part}'")
    if key in _SWITCHES and value not in TRUE | FALSE:
        raise InvalidOption(f"invalid value for {written}: {value}; write true or false")
    if key in ("type", "bind-propagation", "consistency"):
        value = value.lower()
    if key == "bind-recursive" and value not in _RECURSIVE:
        known = ", ".join(f'"{each}"' for each in _RECURSIVE[:-1])
        raise InvalidOption(f'invalid value for {key}: {value} (must be {known}, or "{_RECURSIVE[-1]}")')
    if key == "consistency" and value not in _CONSISTENCY:
        raise InvalidOption(f"invalid value for {key}: {value}; it is one of {', '.join(_CONSISTENCY)}")
    return key, value


def _check_mix(fields: Fields, kind: str) -> None:
    """Raise InvalidOption for a key that belongs to another type."""
    if not kind:
        raise InvalidOption("type is required")
    if kind not in _OWN:
        raise InvalidOption(f'invalid mount config for type "{kind}": mount type unknown; use {", ".join(_OWN)}')
    for other, keys in _OWN.items():
        if other != kind and not fields.values.keys().isdisjoint(keys):
            raise InvalidOption(f"cannot mix '{other}-*' options with mount type '{kind}'")


def _check_places(fields: Fields, kind: str) -> None:
    """Raise InvalidOption unless source and target can be those of this type."""
    target = fields.values.get("target", "")
    if not target:
        raise InvalidOption("target is required")
    if not target.startswith("/"):
        raise _invalid(kind, f"invalid mount path: '{target}' mount path must be absolute")
    if place(target) == "/":
        raise _invalid(kind, "destination can't be '/'")
    if kind in ("bind", IMAGE) and not fields.source:
        raise _invalid(kind, "field Source must not be empty")
    if kind == "tmpfs" and fields.source:
        raise _invalid(kind, "field Source must not be specified")


def _bind(fields: Fields) -> Bind:
    source, propagation = fields.source, fields.values.get("bind-propagation", "")
    if not source.startswith(("/", "./", "../", "~")) and source not in (".", ".."):
        raise _invalid("bind", f"invalid mount path: '{source}' mount path must be absolute; or write ./{source}")
    if propagation not in ("", *PROPAGATION):
        raise _invalid("bind", f"invalid propagation mode: {propagation}")
    recursive, read_only = fields.values.get("bind-recursive", "enabled"), fields.is_on("readonly")
    if recursive in ("writable", "readonly") and not read_only:
        raise InvalidOption(f"option 'bind-recursive={recursive}' requires 'readonly' to be specified in conjunction")
    if recursive == "readonly" and propagation != "rprivate":
        needed = "'bind-propagation=rprivate'"
        raise InvalidOption(f"option 'bind-recursive=readonly' requires {needed} to be specified in conjunction")
    access = READ_ONLY_TOP if recursive == "writable" else "ro" if read_only else "rw"
    options = ("bind" if recursive == "disabled" else "rbind", access, propagation or "rprivate")
    return Bind(Mount(fields.target, "bind", str(host_path(source)), options), fields.is_on("bind-create-src"))


def _tmpfs(fields: Fields) -> Mount:
    options = [*_TMPFS, *(["ro"] if fields.is_on("readonly") else [])]
    size, mode = fields.values.get("tmpfs-size"), fields.values.get("tmpfs-mode")
    if size is not None:
        try:
            options.append(f"size={size_bytes(size)}")
        except InvalidOption as error:
            raise InvalidOption(f"invalid value for tmpfs-size: {size}; {error}") from error
    if mode is not None:
        if not mode or not set(mode) <= set("01234567"):
            raise InvalidOption(f"invalid value for tmpfs-mode: {mode}; write an octal number such as 1777")
        options.append(f"mode={mode}")
    return Mount(fields.target, "tmpfs", "tmpfs", tuple(options))


def _volume(fields: Fields) -> VolumeMount:
    subpath = _subpath(fields, VOLUME)
    if subpath and not fields.source:
        raise _invalid(VOLUME, "must not set Subpath when using anonymous volumes")
    if fields.source:
        check_name(fields.source)
    driver(fields.values.get("volume-driver", ""))
    check_options(fields.options)
    return VolumeMount(
        fields.target,
        fields.source,
        read_only=fields.is_on("readonly"),
        no_copy=fields.is_on("volume-nocopy"),
        subpath=subpath,
        labels=fields.labels,
        driver_options=fields.options,
        mode="z",
    )


def _image(fields: Fields) -> VolumeMount:
    return VolumeMount(fields.target, fields.source, IMAGE, read_only=True, subpath=_subpath(fields, IMAGE))


def _subpath(fields: Fields, kind: str) -> str:
    """A path below the volume, as text; links in it are looked at when it is mounted."""
    subpath = fields.values.get(f"{kind}-subpath", "")
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise _invalid(kind, f"subpath must be a relative path within the {kind}")
    return subpath


def _invalid(kind: str, why: str) -> InvalidOption:
    return InvalidOption(f'invalid mount config for type "{kind}": {why}')
