"""The engine: Docker's verbs on one state root, with typed results. It never prints and knows no front-end.

engine = Engine()
image = engine.build("FROM busybox\\nCMD echo hello", tags=["hello"])
result = engine.containers.run("hello", RunOptions(remove=True))
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Unpack

from dockmagic import journal
from dockmagic.database import Database
from dockmagic.errors import BuildError, ContainerError
from dockmagic.events import OnEvent, ignore
from dockmagic.image.configuration import read_registries
from dockmagic.image.limits import DEFAULT_LIMITS, Limits
from dockmagic.image.platform import host_platform
from dockmagic.image.registries import Registries
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.workspace import Workspaces, store_errors
from dockmagic.images import Images
from dockmagic.journal import Journal
from dockmagic.network.verbs import Networks
from dockmagic.oci.codec import encode
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.reference import Reference
from dockmagic.oci.spec import Overlay
from dockmagic.registry.service import RegistryService
from dockmagic.runtime import binfmt, leftovers
from dockmagic.runtime.cgroup import hierarchy
from dockmagic.runtime.client import Client
from dockmagic.runtime.container import Containers as ContainerRows
from dockmagic.runtime.request import StartRequest, record_of, root_key
from dockmagic.runtime.reviving import revive
from dockmagic.runtime.session import Session
from dockmagic.runtime.stubs import make_lowest_layer, remove_standard
from dockmagic.volumes.verbs import Volumes

if TYPE_CHECKING:
    from dockmagic.builder.content import FileHashes
    from dockmagic.builder.flags import BuildFlags
    from dockmagic.builder.parts import Parts
    from dockmagic.builder.remotes import Remotes
    from dockmagic.builder.seam import OnOutput, RunEnd, RunStep
    from dockmagic.containers import Containers
    from dockmagic.dockerfile.lint import LintWarning
    from dockmagic.dockerfile.outline import Outline
    from dockmagic.dockerfile.targets import Target
    from dockmagic.files.verbs import Files
    from dockmagic.image.accounts import Accounts, Login, Logout
    from dockmagic.past import Past
    from dockmagic.upkeep import Upkeep

BUILD_HOSTNAME: Final = "buildkitsandbox"  # what a RUN step sees with BuildKit


def default_root() -> Path:
    """The state root of this user: /var/lib/dockmagic for root, else in the user's data directory."""
    if os.geteuid() == 0:
        return Path("/var/lib/dockmagic")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "dockmagic"


def run_directory(root: Path) -> Path:
    """Where the run-time files of a state root are: sockets, generated files."""
    base = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR") or f"/tmp/run-{os.geteuid()}")
    return base / "dockmagic" / root_key(str(root))


class Engine:
    """Everything dockmagic does with one state root. Threads may share it, and several processes one root."""

    def __init__(
        self,
        root: Path | None = None,
        *,
        registries: Registries | None = None,
        limits: Limits = DEFAULT_LIMITS,
        build_cache_limit: int | None = None,
    ) -> None:
        """`registries` are by default those of dockmagic.toml and the environment; `limits`: when unpacking.

        `build_cache_limit` is in bytes; builder.upkeep has the default.
        """
        self.root = (root or default_root()).resolve()
        self.run_dir = run_directory(self.root)
        self.workspaces = Workspaces(self.root)
        self.database = Database(self.root / "state.db")
        self.store = ImageStore(self.root, self.database)
        self.snapshots = Snapshots(self.root, self.database, self.store, self.workspaces, limits)
        self.client = Client(self.root, self.run_dir)
        self.journal = Journal(self.root / journal.NAME)
        self._hashes: FileHashes | None = None
        self._build_cache_limit = build_cache_limit
        self._rows = ContainerRows(self.root, self.database, self.client)
        settings = partial(read_registries, os.environ) if registries is None else lambda: registries
        self._registries = settings
        self._limits = limits
        self.images = Images(self.store, self.snapshots, settings, self._rows.images_in_use, limits, self.journal)
        self.volumes = Volumes(self.root, self.database)
        self.networks = Networks(self.database, self.client)
        self.client.network = self.networks.prepare
        self.registry = RegistryService(self.root / "registry", self.store)
        self.repair()

    def __enter__(self) -> Engine:
        """The engine itself; it is closed when the block ends."""
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @cached_property
    def containers(self) -> Containers:
        """Docker's verbs on containers; many a build or a look at an image does without."""
        from dockmagic.containers import Containers

        return Containers(
            self._rows, self.client, self.images, self.snapshots, self.volumes, self.networks, self._files
        )

    def _files(self) -> Files:
        """The verbs on the files of containers."""
        from dockmagic.files.verbs import Files

        return Files(self._rows, self.store, self.snapshots, self._limits)

    def build(
        self,
        dockerfile: str,
        *,
        context: Path | str | None = None,
        filename: str = "Dockerfile",
        dockerfile_path: Path | None = None,
        on_event: OnEvent = ignore,
        **flags: Unpack[BuildFlags],
    ) -> Image:
        """Build the image that this Dockerfile describes.

        `context` is a directory, or the address of a repository or an archive. `filename` is what messages call the
        Dockerfile, `dockerfile_path` where it is on disk. Raises InvalidOption, DockerfileError, BuildError, RunFailed,
        NotFound and what a pull raises, or a push after the build.
        """
        from dockmagic.builder.build import build_dockerfile
        from dockmagic.builder.flags import build_options
        from dockmagic.builder.runs import build_name

        tag = next(iter(flags.get("tags", ())), "")
        name = build_name(dockerfile_path, context, Reference.parse(tag).familiar_name if tag else "")
        options = build_options(flags, host_platform(), name)
        parts = self._build_parts(on_event, newest=options.pull)
        with self._limited_cache():
            image = build_dockerfile(
                dockerfile, context, options, parts, on_event=on_event, filename=filename, dockerfile=dockerfile_path
            )
        for reference in options.pushes:
            self.images.push(str(reference), on_event)
        return image

    def remotes(self, *, keep_git_dir: bool = False, secrets: Mapping[str, bytes] | None = None) -> Remotes:
        """Fetches build contexts from elsewhere, which go with its block; servers may want to see secrets."""
        from dockmagic.builder.remotes import Remotes

        return Remotes(self.workspaces, keep_git_dir=keep_git_dir, secrets=secrets)

    def check(
        self,
        dockerfile: str,
        *,
        context: Path | str | None = None,
        filename: str = "Dockerfile",
        dockerfile_path: Path | None = None,
        **flags: Unpack[BuildFlags],
    ) -> tuple[LintWarning, ...]:
        """What is probably a mistake in this Dockerfile, by line; nothing is built. Raises DockerfileError."""
        from dockmagic.builder.check import check_dockerfile
        from dockmagic.builder.flags import build_options

        args = build_options(flags, host_platform()).args
        return check_dockerfile(dockerfile, context, args, self.store, filename=filename, dockerfile=dockerfile_path)

    def targets(self, dockerfile: str, *, filename: str = "Dockerfile") -> tuple[Target, ...]:
        """The stages that this Dockerfile can be built to, in their order. Raises DockerfileError."""
        from dockmagic.builder.describe import describe_targets

        return describe_targets(dockerfile, filename)

    def outline(self, dockerfile: str, *, filename: str = "Dockerfile", **flags: Unpack[BuildFlags]) -> Outline:
        """What a build of this Dockerfile to its target can be given. Raises DockerfileError, NotFound."""
        from dockmagic.builder.describe import describe_outline
        from dockmagic.builder.flags import build_options

        return describe_outline(dockerfile, build_options(flags, host_platform()).args, filename)

    @property
    def past(self) -> Past:
        """The builds that are remembered, and the files as they were after any of their steps."""
        from dockmagic.past import Past

        return Past(self.database, self.store, self.snapshots)

    @property
    def upkeep(self) -> Upkeep:
        """What takes space, and the ways to get some of it back."""
        from dockmagic.upkeep import Upkeep

        return Upkeep(self.root, self.database, self.store, self.snapshots, self._rows, self.client)

    @property
    def accounts(self) -> Accounts:
        """The user's accounts at registries."""
        from dockmagic.image.accounts import Accounts

        return Accounts(self._registries, os.environ, Path.home())

    def login(self, registry: str = "", username: str = "", password: str = "") -> Login:
        """Try credentials at a registry (Docker Hub by default) and keep them; without a name, try those that are kept.

        Raises Unauthorized, RegistryError, InvalidOption, DockmagicError.
        """
        return self.accounts.login(registry, username, password)

    def logout(self, registry: str = "") -> Logout:
        """Forget the credentials for a registry (Docker Hub by default); raises InvalidOption, DockmagicError."""
        return self.accounts.logout(registry)

    def info(self) -> Mapping[str, str]:
        """What this engine is and works with: versions, state root, cgroups."""
        from importlib.metadata import version

        hierarchies = hierarchy.detect()
        cgroups = "hybrid" if hierarchies.v1 and hierarchies.v2 else "v1" if hierarchies.v1 else "v2"
        return {
            "version": version("dockmagic"),
            "root": str(self.root),
            "backend": "root",
            "cgroups": cgroups,
            "kernel": os.uname().release,
            "platform": f"{host_platform().os}/{host_platform().architecture}",
            "images": str(len(self.images.ls())),
            "containers": str(len(self.containers.ls(all=True))),
        }

    def repair(self) -> None:
        """Remove what crashed processes left: workspaces, half-made containers, cgroups, run-time files.

        What a boot has ended, and should run, starts again (runtime.reviving).
        """
        rows = self._rows.collect()
        self.volumes.collect()
        self.networks.collect()
        self.store.collect()
        leftovers.collect(str(self.root), str(self.run_dir), hierarchy.detect())
        revive(self._rows, rows)

    def close(self) -> None:
        """Stop registries, let the launcher go, close the database; detached containers run on. Idempotent."""
        self.registry.close()
        if "containers" in vars(self):
            self.containers.close()
        self.networks.close()
        self.client.close()
        self.database.close()

    def _build_parts(self, on_event: OnEvent, *, newest: bool) -> Parts:
        """What a build works with; it reports the pulls of its base images, `newest` or as they are, to `on_event`."""
        from dockmagic.builder.cache import BuildCache
        from dockmagic.builder.caches import Caches
        from dockmagic.builder.content import FileHashes
        from dockmagic.builder.history import BuildHistory
        from dockmagic.builder.parts import Parts
        from dockmagic.builder.runs import StepRuns
        from dockmagic.builder.twins import Twins

        def base(reference: Reference, platform: Platform) -> Image:
            return self.images.find_or_pull(str(reference), on_event, platform, newest=newest)

        self._hashes = self._hashes or FileHashes()
        return Parts(
            store=self.store,
            snapshots=self.snapshots,
            workspaces=self.workspaces,
            cache=BuildCache(self.database, self.snapshots),
            twins=Twins(self.database, self.snapshots),
            run_step=self._run_step,
            pull_base=base,
            runs=StepRuns(self.database),
            history=BuildHistory(self.database),
            caches=Caches(self.root, self.workspaces),
            open_artifact=lambda reference, place: self.images.artifact(reference, place, on_event),
            push_artifact=lambda reference, manifest: self.images.push_artifact(reference, manifest, on_event),
            hashes=self._hashes,
        )

    @contextmanager
    def _limited_cache(self) -> Iterator[None]:
        """Bring the build cache below its limit when the block has ended well, but keep what the block used."""
        began_ns = time.time_ns()
        yield
        from dockmagic.builder.upkeep import CacheUpkeep, default_limit

        most_bytes = default_limit(self.root) if self._build_cache_limit is None else self._build_cache_limit
        CacheUpkeep(self.root, self.database, self.store).limit(most_bytes, since_ns=began_ns)

    def _mount_points(self) -> Path:
        """The layer with mount points that lies below those of any image; made where it is missing."""
        layer = self.root / "stubs" / ".lowest"  # a name that no collector looks at
        if not layer.is_dir():
            with self.workspaces.new("stubs-", hold=False) as workspace, store_errors("make mount points"):
                make_lowest_layer(str(workspace / "layer"))
                layer.parent.mkdir(mode=0o700, exist_ok=True)
                try:
                    (workspace / "layer").rename(layer)
                except OSError:
                    if not layer.is_dir():  # another step was quicker
                        raise
        return layer

    def _run_step(self, step: RunStep, on_output: OnOutput) -> RunEnd:
        """Run the command of a RUN instruction (builder.seam)."""
        from dockmagic.builder.seam import RunEnd
        from dockmagic.runtime.making import make_spec

        architecture, host = step.config.architecture, host_platform().architecture
        if not binfmt.runs(architecture, host):
            raise BuildError(
                f"this machine, {host}, doesn't run programs for {architecture}; register an interpreter such as "
                "qemu-user-static in binfmt_misc, or do it in a stage that begins with FROM --platform=$BUILDPLATFORM"
            )
        container_id = step.container_id
        lower = tuple(map(str, step.lower))
        overlay = Overlay((*lower, str(self._mount_points())), str(step.upper), str(step.work), volatile=True)
        spec = make_spec(
            step.config.config,
            step.options,
            overlay,
            step.options.hostname or BUILD_HOSTNAME,
        )
        with Session(on_output) as session:
            namespaces = tuple(namespace.type for namespace in spec.linux.namespaces)
            request = StartRequest(container_id, namespaces, session.streams, foreground=True)
            with self.networks.step(container_id, step.options):
                with self.client.prepared(container_id, spec, step.options) as networking:
                    started = self.client.start(request, json.dumps(encode(spec)), session.descriptors, networking)
                with started.connection:
                    ended = session.follow(started.connection, started.record.pid)
        if ended is None:
            raise ContainerError("the step's monitor was killed, and the step ended with it; build again")
        remove_standard(overlay.upper, lower)
        record = record_of(ended)
        return RunEnd(record.exit_status, record.cpu_ns, record.peak_memory_bytes)
