"""Docker's flags that aren't available yet: each is known, and refused with its reason; none is taken and ignored."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import NoReturn

from dockmagic.commands.command import CommandParser
from dockmagic.errors import InvalidOption

_NETWORKS = "ports aren't published yet"
_REAL_TIME = "real-time scheduling isn't available"
_WINDOWS = "it means something on Windows only"
_TEMPLATES = "templates aren't available yet; assign the result to a variable and use its values"
_STORAGE = (
    "it works only for overlay over xfs with 'pquota', and needs a project's quota for each container; "
    "--tmpfs DIR:size=… limits a directory"
)
TRUST = "image signatures aren't checked"


@dataclass(frozen=True)
class Refused:
    """Flags that are refused for one reason. A `switch` takes no value."""

    names: tuple[str, ...]
    reason: str
    switch: bool = False


RUN = (
    Refused(("--storage-opt",), _STORAGE),
    Refused(("--cpu-rt-period", "--cpu-rt-runtime"), _REAL_TIME),
    Refused(("--kernel-memory",), "kernels don't limit it apart any more; use --memory"),
    Refused(("--cgroup-parent",), "cgroups are made under a parent of the engine's own"),
    Refused(("--disable-content-trust",), TRUST, switch=True),
    Refused(("--runtime",), "dockmagic is its own runtime"),
    Refused(("--use-api-socket",), "there is no API socket yet", switch=True),
    Refused(("--isolation", "--cpu-count", "--cpu-percent", "--io-maxbandwidth", "--io-maxiops"), _WINDOWS),
)

UPDATE = (
    Refused(("--cpu-rt-period", "--cpu-rt-runtime"), _REAL_TIME),
    Refused(("--kernel-memory",), "kernels don't limit it apart any more; use --memory"),
)

BUILD = (
    Refused(("--attest", "--provenance", "--sbom"), "an image has no attestations"),
    Refused(("--security-opt",), "RUN has Docker's default profile; build with --allow security.insecure for none"),
    Refused(("--squash", "--compress"), "it isn't available yet", switch=True),
    Refused(("--builder", "--isolation"), "dockmagic is its own builder"),
    Refused(("--cgroup-parent",), "each RUN has a cgroup of its own beside those of the containers"),
    Refused(("--disable-content-trust",), TRUST, switch=True),
)  # fmt: skip

TEMPLATES = (Refused(("--format",), _TEMPLATES),)


class Refusal(argparse.Action):
    """A flag that is never taken; its `const` is the reason."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> NoReturn:
        """Raise InvalidOption with the reason."""
        raise InvalidOption(f"{option_string} isn't available yet: {self.const}")


def add_refused(parser: CommandParser, flags: tuple[Refused, ...]) -> None:
    """Make `parser` know these flags and refuse them."""
    for refused in flags:
        parser.add_argument(
            *refused.names,
            action=Refusal,
            nargs=0 if refused.switch else 1,
            const=refused.reason,
            dest=argparse.SUPPRESS,
            default=argparse.SUPPRESS,
            help=argparse.SUPPRESS,
        )
