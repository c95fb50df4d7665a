"""What the engine asks of a monitor for a container's start, from its row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dockmagic import journal
from dockmagic.oci import health
from dockmagic.oci.volumes import VOLUME
from dockmagic.runtime.request import StartRequest
from dockmagic.runtime.signals import signal_number

if TYPE_CHECKING:
    from dockmagic.runtime.container import Row
    from dockmagic.runtime.session import Session


def start_request(row: Row, directory: Path, session: Session | None, *, foreground: bool) -> StartRequest:
    """The request to start the container whose directory this is, attached to `session` where there is one."""
    options = row.options
    return StartRequest(
        row.id,
        tuple(namespace.type for namespace in row.spec.linux.namespaces),
        session.streams if session else (),
        bool(options.bindings()),
        options.joined(),
        foreground=foreground and session is not None,
        interactive=options.interactive,
        terminal=row.spec.process.terminal,
        log="" if options.log.driver == "none" else str(directory / "log.jsonl"),
        log_bytes=options.log.most_bytes,
        log_files=options.log.most_files,
        state=str(directory / "state.json"),
        remove=(str(directory),) if options.remove else (),
        volumes=options.remove and bool(options.volumes),
        mounted={volume.source: volume.facts() for volume in options.volumes if volume.type == VOLUME},
        shape=options.shape,
        journal=str(directory.parent.parent / journal.NAME),
        attributes=row.attributes,
        restart=options.restart,
        stop_signal=signal_number(options.stop_signal) if options.stop_signal else 0,
        healthcheck=health.effective(options.healthcheck, options.shell),
        health=str(directory / "health.json"),
    )
