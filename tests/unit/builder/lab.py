"""A state root with a base image, and builds in it whose commands a function plays instead of a container."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from dockmagic.builder.build import build_dockerfile
from dockmagic.builder.cache import BuildCache
from dockmagic.builder.cache_transfer import CacheTarget
from dockmagic.builder.caches import Caches
from dockmagic.builder.history import BuildHistory
from dockmagic.builder.parts import BuildOptions, Parts
from dockmagic.builder.plan import BuildArgs, NamedDirectory
from dockmagic.builder.runs import StepRuns
from dockmagic.builder.seam import OnOutput, RunEnd, RunStep
from dockmagic.builder.tree import Tree
from dockmagic.builder.twins import Twins
from dockmagic.database import Database
from dockmagic.errors import NotFound
from dockmagic.events import BuildStep, Event, StepState, ignore
from dockmagic.image.archive_files import Archive
from dockmagic.image.push import push_artifact
from dockmagic.image.registry import RegistryClient
from dockmagic.image.registry_archive import RegistryArchive
from dockmagic.image.snapshot import Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.workspace import Workspaces
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.image import ContainerConfig, History, ImageConfig
from dockmagic.oci.reference import Reference

Command = Callable[[RunStep, OnOutput], int]


class Lab:
    """Builds Dockerfiles; `runs` are the steps that a command was started for, `events` those of the last build."""

    def __init__(self, root: Path, command: Command | None = None) -> None:
        database = Database(root / "state.db")
        self.store = ImageStore(root, database)
        self.workspaces = Workspaces(root)
        self.snapshots = Snapshots(root, database, self.store, self.workspaces)
        self.database = database
        self.command: Command = command or (lambda step, output: 0)
        self.runs: list[RunStep] = []
        self.events: list[Event] = []
        self.pulled: list[Reference] = []
        self.root = root
        self.parts = Parts(
            store=self.store,
            snapshots=self.snapshots,
            workspaces=self.workspaces,
            cache=BuildCache(database, self.snapshots),
            twins=Twins(database, self.snapshots),
            run_step=self._run,
            pull_base=self._pull,
            runs=StepRuns(database),
            history=BuildHistory(database),
            caches=Caches(root, self.workspaces),
            open_artifact=self._open_artifact,
            push_artifact=self._push_artifact,
        )

    def base(self, name: str, files: Mapping[str, str], config: ContainerConfig | None = None) -> Image:
        """Store an image with these files (a path with "/" at its end is a directory, "-> x" makes a link)."""
        with self.workspaces.new() as workspace:
            directory = workspace / "upper"
            self.snapshots.prepare(None, directory)
            fill(directory, files)
            layer = self.snapshots.commit(None, directory)
        image = ImageConfig(
            "amd64",
            "linux",
            config or ContainerConfig(),
            (layer.diff_id,),
            (History("2024-01-01T00:00:00Z", "base"),),
            "2024-01-01T00:00:00Z",
        )
        return self.store.add_image(image, [layer.descriptor], references=[Reference.parse(name)])

    def build(
        self,
        text: str,
        context: Path | None = None,
        *,
        args: Mapping[str, str] | None = None,
        target: str = "",
        no_cache: bool = False,
        pull: bool = False,
        tag: str = "",
        labels: Mapping[str, str] | None = None,
        contexts: Mapping[str, Path | str] | None = None,
        explain: bool = False,
        secrets: Mapping[str, bytes] | None = None,
        parallel: bool = True,
        no_cache_stages: frozenset[str] = frozenset(),
        epoch_s: int | None = None,
        rewrite: bool = False,
        ssh: Mapping[str, tuple[Path, ...]] | None = None,
        cache_to: tuple[CacheTarget, ...] = (),
        cache_from: tuple[Path | Reference, ...] = (),
    ) -> Image:
        """Build the text."""
        self.events.clear()
        self.runs.clear()
        named = {
            name: value if isinstance(value, str) else NamedDirectory(name, str(value))
            for name, value in (contexts or {}).items()
        }
        options = BuildOptions(
            args=BuildArgs(args or {}, target=target, contexts=named),
            tags=(Reference.parse(tag),) if tag else (),
            labels=labels or {},
            no_cache=no_cache,
            pull=pull,
            explain=explain,
            secrets=secrets or {},
            ssh=ssh or {},
            cache_to=cache_to,
            cache_from=cache_from,
            parallel=parallel,
            no_cache_stages=no_cache_stages,
            epoch_s=epoch_s,
            rewrite_timestamp=rewrite,
        )
        return build_dockerfile(text, context, options, self.parts, on_event=self.events.append)

    @contextmanager
    def _open_artifact(self, reference: Reference, place: Path) -> Iterator[Archive]:
        with closing(RegistryClient()) as client:
            yield RegistryArchive(reference, client, self.store, place, ignore)

    def _push_artifact(self, reference: Reference, manifest: bytes) -> None:
        with closing(RegistryClient()) as client:
            push_artifact(reference, manifest, client=client, store=self.store)

    def tree(self, image: Image) -> Tree:
        """The image's files."""
        return Tree(self.snapshots.lower(image.config.diff_ids))

    def read(self, image: Image, path: str) -> str:
        """Text of a file in the image."""
        found = self.tree(image).lookup(path)
        assert found is not None, f"there is no {path}"
        return Path(found.location).read_text()

    def listing(self, image: Image) -> list[str]:
        """All paths in the image, sorted; directories end with "/"."""
        return [found.path + "/" * found.is_dir for found in self.tree(image).walk("") if found.path]

    def ended(self) -> list[StepState]:
        """How the steps of the last build ended, in order."""
        return [event.state for event in self.steps()]

    def steps(self) -> list[BuildStep]:
        """The last event of each step of the last build."""
        ends = [event for event in self.events if isinstance(event, BuildStep)]
        return [event for event in ends if event.state is not StepState.RUNNING]

    def left(self) -> list[Path]:
        """What is left in the directory for work in progress."""
        return list(self.workspaces.directory.iterdir())

    def _run(self, step: RunStep, output: OnOutput) -> RunEnd:
        self.runs.append(step)
        return RunEnd(self.command(step, output), cpu_ns=5, peak_memory_bytes=6)

    def _pull(self, reference: Reference, platform: Platform) -> Image:
        self.pulled.append(reference)
        raise NotFound("image", reference.familiar)


def fill(directory: Path, files: Mapping[str, str]) -> None:
    """Make files below a directory: a path with "/" at its end is a directory, content "-> x" a link to x."""
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        elif content.startswith("-> "):
            path.symlink_to(content.removeprefix("-> "))
        else:
            path.write_text(content)
