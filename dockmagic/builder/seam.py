"""The seam between the builder and whatever runs a RUN step: one plain value and one function type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dockmagic.oci.image import ImageConfig
from dockmagic.oci.options import RunOptions


@dataclass(frozen=True, slots=True)
class RunStep:
    """A command to run on an overlay whose upper directory becomes the layer.

    `lower` has the topmost layer first, none for scratch; `upper` and `work` are empty directories on one file system,
    owned by the caller, who keeps them after the run. `options` holds the command, its environment, user and directory.
    `container_id` is what the temporary container is called.
    """

    config: ImageConfig
    options: RunOptions
    lower: tuple[Path, ...]
    upper: Path
    work: Path
    container_id: str


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a command ended, and what its processes used."""

    exit_status: int
    cpu_ns: int = 0
    peak_memory_bytes: int = 0


OnOutput = Callable[[str, bytes], None]  # the stream's name, "stdout" or "stderr", and what was written
StepRunner = Callable[[RunStep, OnOutput], RunEnd]  # raises StartFailed where nothing could start
