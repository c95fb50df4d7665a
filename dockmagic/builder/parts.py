"""What a build is given: the parts of the engine that it works with, and the flags of `docker build`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dockmagic.builder.agents import AgentPaths
from dockmagic.builder.cache import BuildCache
from dockmagic.builder.cache_transfer import CacheTarget, OpenArtifact, PushArtifact
from dockmagic.builder.caches import Caches
from dockmagic.builder.content import FileHashes
from dockmagic.builder.crew import KeyLocks
from dockmagic.builder.history import BuildHistory
from dockmagic.builder.outputs import Output
from dockmagic.builder.plan import BuildArgs
from dockmagic.builder.runs import StepRuns
from dockmagic.builder.seam import StepRunner
from dockmagic.builder.twins import Twins
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.workspace import Workspaces
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.reference import Reference


@dataclass(frozen=True, slots=True)
class Parts:
    """What a build works with. `pull_base` gets an image that isn't here; it raises where that can't be.

    `open_artifact` and `push_artifact` are for caches in registries. `making` keeps two builds of one engine from
    making the same layer at the same time.
    """

    store: ImageStore
    snapshots: Snapshots
    workspaces: Workspaces
    cache: BuildCache
    twins: Twins
    run_step: StepRunner
    pull_base: Callable[[Reference, Platform], Image]
    runs: StepRuns
    history: BuildHistory
    caches: Caches
    open_artifact: OpenArtifact
    push_artifact: PushArtifact
    hashes: FileHashes = field(default_factory=FileHashes)
    making: KeyLocks = field(default_factory=KeyLocks)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a build is asked for: the flags of `docker build`.

    `network` is RUN's, "default", "none" or "host". `pull` asks `pull_base` for images that are here, too. `explain`
    reports why each step ran in full; `name` tells this build's earlier runs from those of others. `secrets` maps the ids of
    --mount=type=secret to what is in them, `ssh` those of --mount=type=ssh to agents. `no_cache_stages` are stages, by
    name, whose steps always run. Stages that don't need each other are built side by side where `parallel` is set,
    else in the order of the Dockerfile.

    `epoch_s` (SOURCE_DATE_EPOCH, s since 1970) is what the image takes for the present; with `rewrite_timestamp` no
    file of a new layer is younger. Without `outputs` the image is put into the store. `pushes` are names that it is
    pushed under afterwards. `cache_from` are caches to be used, `cache_to` those to be written.
    """

    args: BuildArgs = field(default_factory=BuildArgs)
    tags: tuple[Reference, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    no_cache_stages: frozenset[str] = frozenset()
    network: str = "default"
    pull: bool = False
    explain: bool = False
    name: str = ""
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    ssh: Mapping[str, AgentPaths] = field(default_factory=dict)
    parallel: bool = True
    epoch_s: int | None = None
    rewrite_timestamp: bool = False
    outputs: tuple[Output, ...] = ()
    pushes: tuple[Reference, ...] = ()
    cache_to: tuple[CacheTarget, ...] = ()
    cache_from: tuple[Path | Reference, ...] = ()

    def why_fresh(self, stage: str) -> str:
        """The flag that makes the steps of this stage run although their layers may be known, "" for none."""
        filtered = "--no-cache-filter" if stage.lower() in self.no_cache_stages else ""
        return "--no-cache" if self.no_cache else filtered

    @property
    def is_stored(self) -> bool:
        """Whether the image is to be in the store at the end."""
        return bool(self.tags) or not self.outputs or any(output.is_stored for output in self.outputs)

    @property
    def latest_s(self) -> int | None:
        """The time that no file of a new layer may be younger than; None where any time is right."""
        return self.epoch_s if self.rewrite_timestamp else None

    def now(self) -> str:
        """The present time in RFC 3339, to the nanosecond."""
        seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if self.epoch_s is not None:
            return f"{datetime.fromtimestamp(self.epoch_s, UTC):%Y-%m-%dT%H:%M:%S}Z"
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"
