"""`-it` where the door has terminals of its own: the command ends as soon as the process runs, which goes on in one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dockmagic.commands.command import Console, Namespace
from dockmagic.commands.human import short_id
from dockmagic.commands.results import Shown
from dockmagic.commands.run_image import watching
from dockmagic.events import OnEvent
from dockmagic.oci.options import ExecOptions, RunOptions
from dockmagic.runtime.attach import Attachment

if TYPE_CHECKING:
    from dockmagic.container import Container
    from dockmagic.engine import Engine


def embeds(console: Console, *, tty: bool, interactive: bool) -> bool:
    """Whether a process that wants this gets a terminal of the console's own."""
    return console.embeds and tty and interactive and console.stdin is None


def run(engine: Engine, args: Namespace, options: RunOptions, console: Console) -> Shown:
    """Run a container in a terminal. Raises StartFailed, and what making it raises."""
    with watching(console, args) as on_event:
        container = engine.containers.create(args.image, options, on_event)
    wanted = Attachment(keys=args.detach_keys, tty=True)
    title = f"{short_id(container.id)} · {args.image}"
    try:
        console.embed(title, partial(_start, container), wanted)
    except BaseException:
        if options.remove:
            container.rm(force=True)
        raise
    return Shown()


def _start(container: Container, attachment: Attachment, on_event: OnEvent) -> int:
    return container.start_attached(attachment, on_event)


def execute(container: Container, options: ExecOptions, args: Namespace, console: Console) -> Shown:
    """Run one more process in a container, in a terminal. Raises StartFailed, InvalidState."""

    def follow(attachment: Attachment, on_event: OnEvent) -> int:
        return container.exec(options, attachment=attachment, on_event=on_event)

    console.embed(f"{short_id(container.id)} · exec", follow, Attachment(keys=args.detach_keys, tty=True))
    return Shown()


def attach(container: Container, args: Namespace, console: Console) -> Shown:
    """Be attached to a container's terminal, which outlives this one; one that doesn't run is started."""
    wanted = Attachment(keys=args.detach_keys, tty=True, owner=False)
    console.embed(short_id(container.id), partial(_start, container), wanted)
    return Shown()
