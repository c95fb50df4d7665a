"""Flags of run and create about a container's life: what starts it again, and what tells that it works.

Source: docker run's reference, "Restart policies" and "HEALTHCHECK"; the messages are Docker's.
"""

from __future__ import annotations

from typing import Any, Final

from dockmagic.commands import values
from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.dockerfile.durations import parse_duration
from dockmagic.errors import InvalidOption
from dockmagic.oci import health
from dockmagic.oci.image import Healthcheck
from dockmagic.oci.options import RestartPolicy

_POLICIES: Final = ("no", "always", "on-failure", "unless-stopped")
_LEAST_NS: Final = 1_000_000
_TIMES: Final = (
    ("interval", "Interval", "time between checks (30s)"),
    ("timeout", "Timeout", "time after which a check counts as failed (30s)"),
    ("start_period", "StartPeriod", "time to start in, whose failures don't count (0s)"),
    ("start_interval", "StartInterval", "time between checks in the start period (5s)"),
)


def add_restart(parser: CommandParser) -> None:
    """Add --restart."""
    parser.add_argument(
        "--restart", type=typed(restart_policy), metavar="POLICY",
        help="start it again when it has ended: no, on-failure[:N], always or unless-stopped (no)",
    )  # fmt: skip


def add_health(parser: CommandParser) -> None:
    """Add how it is found out whether the container works."""
    group = parser.add_argument_group("its health")
    group.add_argument("--health-cmd", default="", metavar="COMMAND", help="command for a shell that checks it")
    for name, _, text in _TIMES:
        flag = f"--health-{name.replace('_', '-')}"
        group.add_argument(flag, default=0, type=typed(_duration_ns), metavar="TIME", help=text)
    group.add_argument(
        "--health-retries",
        default=0,
        type=typed(values.integer),
        metavar="N",
        help="failures that make it unhealthy (3)",
    )
    group.add_argument("--no-healthcheck", action="store_true", help="don't run the image's check")


def restart_policy(text: str) -> RestartPolicy:
    """A policy such as "on-failure:3"; raises InvalidOption."""
    name, colon, retries = text.partition(":")
    if colon and not name:
        raise InvalidOption("invalid restart policy format: no policy provided before colon")
    try:
        most = int(retries or 0)
    except ValueError:
        raise InvalidOption("invalid restart policy format: maximum retry count must be an integer") from None
    if name and name not in _POLICIES:
        known = "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        raise InvalidOption(f"invalid restart policy: unknown policy '{name}'; {known}")
    if name == "on-failure" and most < 0:
        raise InvalidOption("invalid restart policy: maximum retry count cannot be negative")
    if name != "on-failure" and most:
        more = " and cannot be negative" if most < 0 else ""
        raise InvalidOption(f"invalid restart policy: maximum retry count can only be used with 'on-failure'{more}")
    return RestartPolicy(name or "no", most)


def _duration_ns(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidOption(str(error)) from None


def life(args: Namespace) -> dict[str, Any]:
    """The options that the flags mean. Raises InvalidOption where they contradict each other."""
    policy = args.restart or RestartPolicy()
    if args.remove and policy.name != "no":
        raise InvalidOption("conflicting options: cannot specify both --restart and --rm")
    return {"restart": policy, "healthcheck": _healthcheck(args)}


def _healthcheck(args: Namespace) -> Healthcheck | None:
    """The check that the flags ask for, None without any; what isn't given is the image's."""
    times = {name: getattr(args, f"health_{name}") for name, _, _ in _TIMES}
    given = args.health_cmd or args.health_retries or any(times.values())
    if args.no_healthcheck and given:
        raise InvalidOption("--no-healthcheck conflicts with --health-* options")
    if not given:
        return health.OFF if args.no_healthcheck else None
    for name, time_ns in {**times, "retries": args.health_retries}.items():
        if time_ns < 0:
            raise InvalidOption(f"--health-{name.replace('_', '-')} cannot be negative")
    for name, field, _ in _TIMES:
        if 0 < times[name] < _LEAST_NS:
            raise InvalidOption(f"{field} in Healthcheck cannot be less than 1ms")
    test = ("CMD-SHELL", args.health_cmd) if args.health_cmd else ()
    return Healthcheck(test, retries=args.health_retries, **times)
