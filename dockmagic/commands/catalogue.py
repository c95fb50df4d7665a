"""All commands, and finding one by the first words of a line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from dockmagic.commands import (
    archive,
    attach,
    build,
    build_stats,
    container,
    container_files,
    difference,
    events,
    fsck,
    history,
    image,
    image_inspect,
    image_list,
    inspect,
    lifecycle,
    login,
    manifest,
    network,
    network_graph,
    offline,
    port,
    prune,
    ps,
    pull,
    push,
    registry,
    run,
    search,
    start,
    stats,
    system,
    tags,
    update,
    usage,
    volume,
)
from dockmagic.commands.command import Command
from dockmagic.errors import InvalidOption

COMMANDS: tuple[Command, ...] = (
    *run.COMMANDS,
    *ps.COMMANDS,
    *container.COMMANDS,
    *start.COMMANDS,
    *port.COMMANDS,
    *attach.COMMANDS,
    *inspect.COMMANDS,
    *lifecycle.COMMANDS,
    *events.COMMANDS,
    *update.COMMANDS,
    *container_files.COMMANDS,
    *stats.COMMANDS,
    *build.COMMANDS,
    *build_stats.COMMANDS,
    *image_list.COMMANDS,
    *history.COMMANDS,
    *pull.COMMANDS,
    *image.COMMANDS,
    *image_inspect.COMMANDS,
    *tags.COMMANDS,
    *search.COMMANDS,
    *manifest.COMMANDS,
    *push.COMMANDS,
    *difference.COMMANDS,
    *archive.COMMANDS,
    *login.COMMANDS,
    *offline.COMMANDS,
    *registry.COMMANDS,
    *system.COMMANDS,
    *volume.COMMANDS,
    *network.COMMANDS,
    *network_graph.COMMANDS,
    *usage.COMMANDS,
    *prune.COMMANDS,
    *fsck.COMMANDS,
)

_ENVIRONMENT = """environment:
  DOCKMAGIC_ROOT               directory of images and containers
  DOCKMAGIC_CONFIG             settings; default: dockmagic.toml in /etc/dockmagic or ~/.config/dockmagic
  DOCKER_CONFIG                directory of config.json, which has the credentials; default: ~/.docker
  DOCKMAGIC_REGISTRY_MIRROR    URL of a registry that is asked first for images of Docker Hub
  DOCKMAGIC_BUILD_CACHE_LIMIT  most that the build cache keeps, such as 5GB; or unlimited
                               (a tenth of the disk, at most 10 GB)
  DOCKMAGIC_UNPACK_LIMITS      what archives may hold at most: entries=N,bytes=N,ratio=N"""


def by_name() -> dict[str, Command]:
    """Every form of every command's words, such as "container run" and "run"."""
    return {name: command for command in COMMANDS for name in command.names}


def find(words: Sequence[str]) -> tuple[Command, str, list[str]]:
    """The command of a line, the words that named it, and the rest of the line.

    Raises InvalidOption for words that name none, with the nearest ones.
    """
    names = by_name()
    for count in (3, 2, 1):
        name = " ".join(words[:count])
        if len(words) >= count and name in names:
            return names[name], name, list(words[count:])
    raise InvalidOption(unknown(words, list(names)))


def unknown(words: Sequence[str], names: list[str]) -> str:
    """Message on a line that starts with no command."""
    if not words:
        return "a command is missing; --help lists them"
    nouns = sorted({name.partition(" ")[0] for name in names if " " in name})
    if words[0] in nouns:
        verbs = sorted({name.partition(" ")[2] for name in names if name.startswith(f"{words[0]} ")})
        what = f"unknown command {' '.join(words[:2])!r}" if len(words) > 1 else f"{words[0]} needs a command"
        return f"{what}; there are {', '.join(verbs)}"
    near = difflib.get_close_matches(" ".join(words[:2]), names, 1) or difflib.get_close_matches(words[0], names, 1)
    hint = f"did you mean {near[0]}?" if near else "--help lists them all"
    return f"unknown command {words[0]!r}; {hint}"


def overview(prog: str) -> str:
    """Help on all commands."""
    rows = [(command.aliases[0] if command.aliases else command.names[0], command.summary) for command in COMMANDS]
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name.ljust(width)}  {summary}" for name, summary in rows]
    head = f"usage: {prog} COMMAND …\n\nBuild, run and watch containers.\n\ncommands:"
    return "\n".join([head, *lines, "", _ENVIRONMENT, "", f"{prog} COMMAND --help tells more."])
