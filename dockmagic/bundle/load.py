"""A bundle's config.json read from its directory. Source: runtime-spec bundle.md and config.md "Extensibility"."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from dockmagic.bundle import check
from dockmagic.errors import InvalidBundle, InvalidManifest
from dockmagic.oci.codec import decode, known
from dockmagic.oci.config import Config
from dockmagic.oci.spec import Process

Warn = Callable[[str], None]


def read(bundle: str, warn: Warn) -> tuple[Config, bytes]:
    """The checked config of a bundle, and its text; raises InvalidBundle and Unsupported."""
    path = os.path.join(bundle, "config.json")
    text = _content(path)
    config = parse(text, path, warn)
    check.check(config)
    return config, text


def parse(text: bytes, path: str, warn: Warn) -> Config:
    """The config that this text holds; raises InvalidBundle. Properties that nobody knows are warned of."""
    unknown: list[str] = []
    try:
        document = known(Config, _object(text, path), unknown)
        config = decode(Config, document)
    except InvalidManifest as error:
        raise InvalidBundle(f"{path}: {error}") from error
    for warning in check.warnings(unknown):
        warn(warning)
    return config


def read_process(path: str) -> Process:
    """The process that a file describes, as `exec --process` names one; raises InvalidBundle and Unsupported."""
    try:
        process = decode(Process, known(Process, _object(_content(path), path), []))
    except InvalidManifest as error:
        raise InvalidBundle(f"{path}: {error}") from error
    check.check_process(process)
    return process


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidBundle(f"{path}: {error.strerror}") from error


def _object(text: bytes, path: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidBundle(f"{path}: it isn't JSON ({error})") from error
    if not isinstance(document, dict):
        raise InvalidBundle(f"{path}: expected an object")
    return document
