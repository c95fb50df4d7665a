"""Limits of block I/O from flags: weights, and rates by device. Source: docker run's reference."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from dockmagic.commands.command import Namespace, typed
from dockmagic.commands.values import integer, size_bytes
from dockmagic.errors import InvalidOption
from dockmagic.oci.spec import BlockIO, DeviceNumber

_WEIGHTS: Final = (10, 1000)


def add_device_flags(group: argparse._ArgumentGroup) -> None:
    """Add the flags that are given once for each device."""
    flags = (
        ("--blkio-weight-device", weight_device, "DEVICE:N", "weight for one device"),
        ("--device-read-bps", bytes_per_second, "DEVICE:RATE", "most bytes read a second, such as /dev/sda:1mb"),
        ("--device-write-bps", bytes_per_second, "DEVICE:RATE", "most bytes written a second"),
        ("--device-read-iops", operations_per_second, "DEVICE:N", "most reads a second"),
        ("--device-write-iops", operations_per_second, "DEVICE:N", "most writes a second"),
    )
    for flag, value, metavar, text in flags:
        group.add_argument(flag, action="append", default=[], type=typed(value), metavar=metavar, help=text)


def from_flags(args: Namespace) -> BlockIO:
    """What the flags ask for, `--blkio-weight` among them."""
    return BlockIO(
        args.blkio_weight or None,
        tuple(args.blkio_weight_device),
        tuple(args.device_read_bps),
        tuple(args.device_write_bps),
        tuple(args.device_read_iops),
        tuple(args.device_write_iops),
    )


def weight(text: str) -> int:
    """A relative weight, 10 to 1000; 0 leaves the default."""
    number = integer(text)
    if number != 0 and not _WEIGHTS[0] <= number <= _WEIGHTS[1]:
        raise InvalidOption(f"{text!r} isn't a weight of block I/O; write a number from {_WEIGHTS[0]} to {_WEIGHTS[1]}")
    return number


def weight_device(text: str) -> DeviceNumber:
    """A weight for one device, from "/dev/sda:500". Raises InvalidOption."""
    return _of_device(text, weight, "500")


def bytes_per_second(text: str) -> DeviceNumber:
    """A rate in bytes for one device, from "/dev/sda:1mb". Raises InvalidOption."""
    return _of_device(text, size_bytes, "1mb")


def operations_per_second(text: str) -> DeviceNumber:
    """A rate of operations for one device, from "/dev/sda:1000". Raises InvalidOption."""
    return _of_device(text, integer, "1000")


def _of_device(text: str, read: Callable[[str], int], example: str) -> DeviceNumber:
    """A device and its number, which is more than 0."""
    path, colon, value = text.rpartition(":")
    if not colon or not path.startswith("/dev/"):
        raise InvalidOption(f"{text!r} isn't a device with a number; write it as /dev/sda:{example}")
    try:
        status = Path(path).stat()
    except OSError as error:
        raise InvalidOption(f"{text!r}: {path}: {error.strerror}; `lsblk -p` lists the disks") from error
    if not stat.S_ISBLK(status.st_mode):
        raise InvalidOption(f"{text!r}: {path} isn't a block device; `lsblk -p` lists the disks")
    number = read(value)
    if number <= 0:
        raise InvalidOption(f"{text!r}: {value} is no limit; write a number above 0, or leave it out")
    return DeviceNumber(os.major(status.st_rdev), os.minor(status.st_rdev), number)
