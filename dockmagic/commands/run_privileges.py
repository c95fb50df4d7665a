"""The flags on what a container may do to the host: capabilities, devices, filters. Source: docker run's reference."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from dockmagic.commands.command import CommandParser, Namespace, typed
from dockmagic.commands.gpus import gpus
from dockmagic.errors import InvalidOption
from dockmagic.oci.convert import capability
from dockmagic.oci.options import DeviceMapping
from dockmagic.oci.spec import DeviceRule

_TRUE: Final = {"no-new-privileges", "no-new-privileges:true", "no-new-privileges=true"}
_FALSE: Final = {"no-new-privileges:false", "no-new-privileges=false"}
_SO_ANYWAY: Final = {"label=disable", "label:disable", "apparmor=unconfined", "apparmor:unconfined"}  # there is neither
_RULE: Final = re.compile(r"([acb]) ([0-9]+|\*):([0-9]+|\*) ([rwm]{1,3})")
_ACCESS: Final = re.compile(r"[rwm]{1,3}")


def add_privileges(parser: CommandParser) -> None:
    """Add the flags."""
    group = parser.add_argument_group("privileges")
    for flag, what in (("--cap-add", "add"), ("--cap-drop", "drop")):
        group.add_argument(
            flag, action="append", default=[], type=typed(capability), metavar="NAME",
            help=f"{what} a capability, or ALL",
        )  # fmt: skip
    group.add_argument(
        "--security-opt", action="append", default=[], metavar="OPTION", help="no-new-privileges, seccomp=FILE …"
    )
    group.add_argument("--privileged", action="store_true", help="all that the host may do: as if it weren't contained")
    group.add_argument(
        "--device", action="append", default=[], type=typed(device), metavar="PATH[:PATH[:rwm]]", help="add a device"
    )
    group.add_argument(
        "--gpus", action="append", default=[], type=typed(gpus), metavar="GPUS", help="all, a number, or device=0"
    )
    group.add_argument(
        "--device-cgroup-rule",
        action="append",
        default=[],
        type=typed(device_rule),
        metavar="RULE",
        help="allow devices by number, such as 'c 42:* rmw'",
    )


def privileges(args: Namespace) -> dict[str, Any]:
    """What the flags ask for, as fields of RunOptions; raises InvalidOption."""
    return {
        "cap_add": tuple(args.cap_add),
        "cap_drop": tuple(args.cap_drop),
        "privileged": args.privileged,
        "devices": tuple(args.device),
        "device_rules": tuple(args.device_cgroup_rule),
        "gpus": tuple(args.gpus),
        **_security(args.security_opt),
    }


def device(text: str) -> DeviceMapping:
    """A device of the host as `source[:path][:rwm]`; raises InvalidOption.

    >>> device("/dev/fuse:rw").access
    'rw'
    """
    parts = text.split(":")
    if "=" in text and not text.startswith("/"):
        raise InvalidOption(f"{text!r}: devices by their CDI name aren't available; name the node in /dev")
    access = parts.pop() if len(parts) > 1 and _ACCESS.fullmatch(parts[-1]) else "rwm"
    source, path = parts[0], parts[-1]
    if len(parts) > 2 or not source.startswith("/"):
        raise InvalidOption(f"{text!r} isn't a device; write it as /dev/sda:/dev/xvda:rwm")
    if not path.startswith("/dev/"):
        raise InvalidOption(f"{text!r}: {path} isn't below /dev, where a container's devices are")
    return DeviceMapping(source, path, access)


def device_rule(text: str) -> DeviceRule:
    """A rule that allows devices, such as "c 1:3 mr"; raises InvalidOption.

    >>> device_rule("c 42:* rm").minor is None
    True
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidOption(f"{text!r} isn't a rule for devices; write type, numbers and access, such as 'c 42:* rmw'")
    major, minor = (None if number == "*" else int(number) for number in match.group(2, 3))
    return DeviceRule(True, match[1], major, minor, match[4])


def _security(given: list[str]) -> dict[str, Any]:
    """What each `--security-opt` means; of two about one thing the later holds."""
    found: dict[str, Any] = {}
    for option in given:
        name, _, value = option.replace(":", "=", 1).partition("=") if "=" not in option else option.partition("=")
        if option in _TRUE | _FALSE:
            found["no_new_privileges"] = option in _TRUE
        elif name == "seccomp" and value:
            found |= _seccomp(value)
        elif option in {"systempaths=unconfined", "systempaths:unconfined"}:
            found["unconfined_paths"] = True
        elif option not in _SO_ANYWAY:
            raise InvalidOption(
                f"--security-opt {option} isn't available; use no-new-privileges, seccomp=FILE, seccomp=unconfined or "
                "systempaths=unconfined"
            )
    return found


def _seccomp(value: str) -> dict[str, str]:
    """The filter of system calls: none, the default one, or that of a file."""
    if value in {"unconfined", "builtin", "default"}:
        return {"seccomp": "unconfined" if value == "unconfined" else "default", "seccomp_profile": ""}
    try:
        text = Path(value).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't text"
        raise InvalidOption(f"--security-opt seccomp={value}: {reason}; name a profile in JSON") from error
    return {"seccomp": "profile", "seccomp_profile": text}
