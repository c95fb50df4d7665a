"""The image config as JSON, read strictly and written always the same.

Source: image-spec config.md, and Docker's image specification for the names in `config` (User, Env, Cmd …). Fields
that neither knows are kept in `extra`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from dockmagic.errors import InvalidManifest
from dockmagic.oci.digest import Digest
from dockmagic.oci.fields import Fields
from dockmagic.oci.image import ContainerConfig, Healthcheck, History, ImageConfig

_IMAGE_KEYS: Final = frozenset("architecture os config rootfs history created author variant os.version".split())
_CONTAINER_KEYS: Final = frozenset(
    "User ExposedPorts Env Entrypoint Cmd Volumes WorkingDir Labels StopSignal Healthcheck Shell OnBuild "
    "ArgsEscaped".split()
)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")


def parse_image_config(data: bytes) -> ImageConfig:
    """Image config that this JSON text holds; raises InvalidManifest with the field's path."""
    fields = Fields.parse(data, "image config")
    if "rootfs" not in fields:
        fields.refuse("rootfs", "is missing")
    return ImageConfig(
        architecture=fields.required_text("architecture"),
        os=fields.required_text("os"),
        config=_container_config(fields.object("config")),
        diff_ids=_diff_ids(fields.object("rootfs")),
        history=tuple(_history(entry) for entry in fields.objects("history")),
        created=_time(fields, "created"),
        author=fields.text("author"),
        variant=fields.text("variant"),
        os_version=fields.text("os.version"),
        extra=fields.others(_IMAGE_KEYS),
    )


def dump_image_config(config: ImageConfig, *, times: bool = True) -> bytes:
    """JSON text of an image config, without white space; equal configs give equal bytes. Without its times if asked."""
    document = _compact(
        created=config.created if times else "",
        author=config.author,
        architecture=config.architecture,
        variant=config.variant,
        os=config.os,
    )
    document |= _compact(**{"os.version": config.os_version})
    document["config"] = _container_json(config.config)
    document["rootfs"] = {"type": "layers", "diff_ids": list(config.diff_ids)}
    document |= _compact(history=[_history_json(entry, times=times) for entry in config.history])
    return json.dumps(document | _sorted(config.extra), separators=(",", ":"), ensure_ascii=False).encode()


def with_times(config: ImageConfig, data: bytes | str) -> ImageConfig:
    """The config with the times of this JSON text, a config that differs in nothing else."""
    document = json.loads(data)
    lines = zip(config.history, document.get("history", ()), strict=True)
    history = tuple(_at(line, other.get("created", "")) for line, other in lines)
    return replace(config, created=document.get("created", ""), history=history)


def _at(line: History, created: str) -> History:
    """The line with this time."""
    return line if line.created == created else replace(line, created=created)


def parse_time(text: str) -> datetime | None:
    """The time that an RFC 3339 text says; None for "", and for the year 1, which is Go's "never". Else ValueError."""
    if not text:
        return None
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    time = datetime.fromisoformat(text.upper())
    return None if time.year == 1 else time


def _container_config(fields: Fields) -> ContainerConfig:
    """The `config` object."""
    return ContainerConfig(
        user=fields.text("User"),
        exposed_ports=fields.names("ExposedPorts"),
        env=fields.texts("Env"),
        entrypoint=fields.optional_texts("Entrypoint"),
        cmd=fields.optional_texts("Cmd"),
        volumes=fields.names("Volumes"),
        working_dir=fields.text("WorkingDir"),
        labels=fields.labels("Labels"),
        stop_signal=fields.text("StopSignal"),
        healthcheck=_healthcheck(fields.object("Healthcheck")) if "Healthcheck" in fields else None,
        shell=fields.optional_texts("Shell"),
        on_build=fields.texts("OnBuild"),
        args_escaped=fields.flag("ArgsEscaped"),
        extra=fields.others(_CONTAINER_KEYS),
    )


def _container_json(config: ContainerConfig) -> dict[str, Any]:
    """JSON form of the `config` object."""
    document = _compact(
        User=config.user,
        ExposedPorts=_set(config.exposed_ports),
        Env=list(config.env),
        Volumes=_set(config.volumes),
        WorkingDir=config.working_dir,
        Labels=_sorted(config.labels),
        StopSignal=config.stop_signal,
        OnBuild=list(config.on_build),
        ArgsEscaped=config.args_escaped,
    )
    optional = {"Entrypoint": config.entrypoint, "Cmd": config.cmd, "Shell": config.shell}
    document |= {key: list(value) for key, value in optional.items() if value is not None}
    if config.healthcheck is not None:
        document["Healthcheck"] = healthcheck_json(config.healthcheck)
    return _sorted(document | dict(config.extra))


def _healthcheck(fields: Fields) -> Healthcheck:
    """The `Healthcheck` object."""
    return Healthcheck(
        test=fields.texts("Test"),
        interval=fields.number("Interval"),
        timeout=fields.number("Timeout"),
        start_period=fields.number("StartPeriod"),
        start_interval=fields.number("StartInterval"),
        retries=fields.number("Retries"),
    )


def healthcheck_json(check: Healthcheck) -> dict[str, Any]:
    """JSON form of a health check."""
    return _compact(
        Test=list(check.test),
        Interval=check.interval,
        Timeout=check.timeout,
        StartPeriod=check.start_period,
        StartInterval=check.start_interval,
        Retries=check.retries,
    )


def _diff_ids(rootfs: Fields) -> tuple[Digest, ...]:
    """The layers' diff IDs, lowest first."""
    if rootfs.required_text("type") != "layers":
        rootfs.refuse("type", f"expected 'layers', got {rootfs.text('type')!r}")
    try:
        return tuple(Digest(text) for text in rootfs.texts("diff_ids"))
    except InvalidManifest as error:
        rootfs.refuse("diff_ids", str(error))


def _history(fields: Fields) -> History:
    """An entry of the history."""
    return History(
        created=_time(fields, "created"),
        created_by=fields.text("created_by"),
        author=fields.text("author"),
        comment=fields.text("comment"),
        empty_layer=fields.flag("empty_layer"),
    )


def _history_json(entry: History, *, times: bool) -> dict[str, Any]:
    """JSON form of an entry of the history."""
    return _compact(
        created=entry.created if times else "",
        created_by=entry.created_by,
        author=entry.author,
        comment=entry.comment,
        empty_layer=entry.empty_layer,
    )


def _time(fields: Fields, key: str) -> str:
    """A time as it is written, if it is one."""
    text = fields.text(key)
    try:
        parse_time(text)
    except ValueError:
        fields.refuse(key, f"expected a time like 2024-05-01T12:00:00Z, got {text!r}")
    return text


def _compact(**values: Any) -> dict[str, Any]:
    """The values that say something, in their order."""
    return {key: value for key, value in values.items() if value}


def _set(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """A set in Go's JSON form."""
    return {name: {} for name in sorted(names)}


def _sorted(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same values, sorted by name."""
    return dict(sorted(values.items()))
