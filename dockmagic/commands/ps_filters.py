"""Values of ps --filter: one of the values of each name has to fit, of labels all. Source: Docker's reference."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from dockmagic.commands.filters import Filter
from dockmagic.commands.run_ports import port_range
from dockmagic.errors import InvalidOption, NotFound, one_of

if TYPE_CHECKING:
    from dockmagic.container import Container
    from dockmagic.engine import Engine

FILTERS: Final = (
    "id", "name", "label", "status", "exited", "ancestor", "before", "since", "health", "volume", "network",
    "publish", "expose",
)  # fmt: skip
_STATUSES: Final = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
_HEALTH: Final = ("starting", "healthy", "unhealthy", "none")

_Takes = Callable[["Container"], bool]


def shows_all(given: Sequence[Filter]) -> bool:
    """Whether containers that don't run are looked at, too."""
    return any(one.name == "status" for one in given)


def taken(engine: Engine, containers: Sequence[Container], given: Sequence[Filter]) -> list[Container]:
    """The containers that the filters take. Raises InvalidOption, NotFound for a container to compare with."""
    by_name: dict[str, list[_Takes]] = {}
    for one in given:
        by_name.setdefault(one.name, []).append(_filter(engine, one))
    return [
        container
        for container in containers
        if all(
            (all if name == "label" else any)(takes(container) for takes in wanted) for name, wanted in by_name.items()
        )
    ]


def _filter(engine: Engine, given: Filter) -> _Takes:
    """Which containers a filter takes."""
    name, value = given.name, given.value
    if name in ("before", "since"):
        other, sign = engine.containers.get(value).created_ns, 1 if name == "before" else -1
        return lambda container: sign * container.created_ns < sign * other
    if name == "ancestor":
        return _descends(engine, value)
    if name == "exited":
        return _ended_with(value)
    if name in ("status", "health"):
        _check(given, _STATUSES if name == "status" else _HEALTH)
        return lambda container: value == (container.state().status if name == "status" else health(container))
    return _BY_VALUE[name](value)


def _check(given: Filter, known: Sequence[str]) -> None:
    """Raise InvalidOption unless the value is known."""
    if given.value not in known:
        raise InvalidOption(f"invalid filter '{given.name}={given.value}'; there are {one_of(known)}")


def health(container: Container) -> str:
    """The health that inspect tells of, "none" where nothing checks it."""
    found = container.inspect().get("State", {}).get("Health") or {}
    return str(found.get("Status", "none"))


def _ended_with(value: str) -> _Takes:
    """Containers that ended with this status. Raises InvalidOption."""
    try:
        wanted = int(value)
    except ValueError:
        raise InvalidOption(f"invalid filter 'exited={value}'; write a number") from None

    def takes(container: Container) -> bool:
        state = container.state()
        return state.status == "exited" and state.exit_status == wanted

    return takes


def _descends(engine: Engine, value: str) -> _Takes:
    """Containers of an image, or of one that was built on it; none of one that there isn't."""
    try:
        layers = engine.images.get(value).config.diff_ids
    except NotFound:
        return lambda container: container.image == value

    def takes(container: Container) -> bool:
        try:
            own = engine.images.get(container.row.image_id).config.diff_ids
        except NotFound:
            return container.image == value
        return own[: len(layers)] == layers

    return takes


def _named(value: str) -> _Takes:
    """Containers whose name has the pattern in it. Raises InvalidOption."""
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise InvalidOption(f"invalid filter 'name={value}': {error}") from error
    return lambda container: bool(pattern.search(container.name) or pattern.search(f"/{container.name}"))


def _labelled(value: str) -> _Takes:
    name, equals, wanted = value.partition("=")
    return lambda container: name in container.labels and (not equals or container.labels[name] == wanted)


def _mounting(value: str) -> _Takes:
    return lambda container: any(value in (each.source, each.destination) for each in container.row.options.mounts)


def _identified(value: str) -> _Takes:
    return lambda container: container.id.startswith(value)


def _connected(value: str) -> _Takes:
    return lambda container: container.connected_to(value)


def _publishing(value: str) -> _Takes:
    """Containers that publish one of these ports of theirs. Raises InvalidOption."""
    wanted = _ports("publish", value)
    return lambda container: any(each.name in wanted for each in container.row.options.bindings())


def _exposing(value: str) -> _Takes:
    """Containers that expose one of these ports. Raises InvalidOption."""
    wanted = _ports("expose", value)
    return lambda container: not wanted.isdisjoint(container.row.options.expose)


def _ports(name: str, value: str) -> set[str]:
    """The ports of "80", "80/udp" or "80-90"."""
    return {f"{port}/{protocol}" for port, protocol in port_range(value, f"filter '{name}={value}'")}


_BY_VALUE: Final[dict[str, Callable[[str], _Takes]]] = {
    "id": _identified,
    "name": _named,
    "label": _labelled,
    "volume": _mounting,
    "network": _connected,
    "publish": _publishing,
    "expose": _exposing,
}
