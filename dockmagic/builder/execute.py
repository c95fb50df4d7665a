"""Carry out a plan: stage after stage, step after step, each from the cache or made anew; then store the image.

An interrupt at any point leaves nothing behind but the layers of the steps that were done, which the cache has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from dockmagic.builder import actions
from dockmagic.builder.cache import BuildCache
from dockmagic.builder.caches import Caches
from dockmagic.builder.content import FileHashes, file_digests
from dockmagic.builder.context import Context
from dockmagic.builder.explain import Explanation, Spot, hit, label_of, miss, step_run
from dockmagic.builder.inputs import Fetcher, read_inputs
from dockmagic.builder.mounting import Mounting, Supplies
from dockmagic.builder.plan import BuildArgs, NamedDirectory, Plan, StagePlan
from dockmagic.builder.plan import Origin as OriginName
from dockmagic.builder.progress import Progress, Report
from dockmagic.builder.runs import Places, StepRuns
from dockmagic.builder.seam import StepRunner
from dockmagic.builder.sources import Origin, Source
from dockmagic.builder.steps import (
    Action,
    CopyAction,
    MakeDirectory,
    RunAction,
    Scope,
    StageState,
    Step,
    begin,
    key,
    next_step,
    stands_alone,
)
from dockmagic.builder.tree import Tree
from dockmagic.builder.triggers import triggered
from dockmagic.dockerfile import instructions as df
from dockmagic.errors import DockerfileError, InvalidReference
from dockmagic.events import StepState
from dockmagic.image.platform import platform_of, suits
from dockmagic.image.snapshot import Layer, Snapshots
from dockmagic.image.store import Image, ImageStore
from dockmagic.image.workspace import Workspaces
from dockmagic.oci.descriptor import Descriptor, Platform
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import ContainerConfig, History, ImageConfig
from dockmagic.oci.reference import Reference

_COMMENT = "buildkit.dockerfile.v0"  # in the history of everything built by these rules


@dataclass(frozen=True, slots=True)
class Parts:
    """What a build works with. `pull_base` gets an image that isn't here; it raises where that can't be."""

    store: ImageStore
    snapshots: Snapshots
    workspaces: Workspaces
    cache: BuildCache
    run_step: StepRunner
    pull_base: Callable[[Reference, Platform], Image]
    runs: StepRuns
    caches: Caches
    hashes: FileHashes = field(default_factory=FileHashes)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a build is asked for: the flags of `docker build`.

    `network` is RUN's, "none" or "host". `pull` asks `pull_base` for images that are here, too. `explain` reports why
    each step ran in full; `name` tells this build's earlier runs from those of others. `secrets` maps the ids of
    --mount=type=secret to what is in them. `no_cache_stages` are stages, by name, whose steps always run.
    """

    args: BuildArgs = field(default_factory=BuildArgs)
    tags: tuple[Reference, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    network: str = "none"
    pull: bool = False
    explain: bool = False
    name: str = ""
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    no_cache_stages: frozenset[str] = frozenset()

    def why_fresh(self, stage: str) -> str:
        """The flag that makes the steps of this stage run although their layers may be known, "" for none."""
        filtered = "--no-cache-filter" if stage.lower() in self.no_cache_stages else ""
        return "--no-cache" if self.no_cache else filtered


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a stage is: the config, with its diff IDs, and the layers' blobs, lowest first.

    `below` says of these layers, where they aren't those of the last time, why; `why_fresh` why none is looked up.
    """

    state: StageState
    layers: tuple[Descriptor, ...]
    below: str = ""
    why_fresh: str = ""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a step came to: its layer, if it has one, how that was got, and why so."""

    layer: Layer | None
    how: StepState
    why: Explanation


@dataclass(frozen=True, slots=True)
class _Task:
    """An action to be done where its layer isn't in the cache; `content` and `files` are digests of what it copies."""

    action: Action
    make: Callable[[], actions.Made]
    content: str = ""
    files: Callable[[], Mapping[str, str]] = dict


def execute(plan: Plan, context: Context, options: BuildOptions, parts: Parts, progress: Progress) -> Image:
    """The image of the plan's last stage, stored under the tags.

    Raises DockerfileError, BuildError and RunFailed where a step fails, and what `pull_base` raises.
    """
    return _Build(plan, context, options, parts, progress).run()


class _Build:
    """One build: the stages that are done, and what they were made with."""

    def __init__(self, plan: Plan, context: Context, options: BuildOptions, parts: Parts, progress: Progress) -> None:
        self._plan = plan
        self._context = context
        self._options = options
        self._parts = parts
        self._progress = progress
        self._done: dict[int, Standing] = {}
        self._images: dict[tuple[str, Platform], Image] = {}

    def run(self) -> Image:
        with self._parts.workspaces.hold():
            for stage_plan in self._plan.stages:
                self._done[stage_plan.stage.index] = self._stage(stage_plan)
            return self._store(self._done[self._plan.stages[-1].stage.index])

    def _stage(self, stage_plan: StagePlan) -> Standing:
        from_, options = stage_plan.stage.from_, self._options
        with self._progress.step(from_) as report:
            standing, how = self._begin(stage_plan)
            standing = replace(standing, why_fresh=options.why_fresh(stage_plan.stage.name))
            triggers, standing = triggered(standing.state, from_, self._plan.escape), _without_triggers(standing)
            self._report(report, how, _said_of_base(stage_plan.base, how))
        self._progress.expect(len(triggers))
        scope = Scope(options.args, self._plan.global_args, stage_plan.origins, options.network, self._plan.escape)
        places = Places(options.name, stage_plan.stage.name)
        for instruction in (*triggers, *stage_plan.stage.instructions):
            standing = self._step(standing, instruction, scope, places)
        return standing

    def _begin(self, stage_plan: StagePlan) -> tuple[Standing, StepState]:
        """Where the stage starts, and whether that was here already."""
        base = stage_plan.base
        if isinstance(base, int):
            former = self._done[base]
            return Standing(begin(former.state.image, former.state.args), former.layers, former.below), StepState.CACHED
        if base is None:
            platform = stage_plan.platform
            image = ImageConfig(
                platform.architecture, platform.os, ContainerConfig(working_dir="/"), variant=platform.variant
            )
            return Standing(begin(image, {}), ()), StepState.CACHED
        found, how = self._image(base, stage_plan.stage.from_, stage_plan.platform)
        return Standing(begin(found.config, {}), found.manifest.layers, "the base image is another one"), how

    def _image(self, name: str, instruction: df.Instruction, platform: Platform) -> tuple[Image, StepState]:
        """An image by its name, the same for the whole build; pulled if it isn't here or the newest is wanted."""
        wanted = name, platform
        known = self._images.get(wanted)
        try:
            if known is None and not self._options.pull:
                known = _suited(self._parts.store.find(name), platform)
            how = StepState.DONE if known is None else StepState.CACHED
            self._images[wanted] = known or self._parts.pull_base(Reference.parse(name), platform)
        except InvalidReference as error:
            raise DockerfileError(str(error), line=instruction.line, end_line=instruction.end_line) from error
        return self._images[wanted], how

    def _step(self, standing: Standing, instruction: df.Instruction, scope: Scope, places: Places) -> Standing:
        with self._progress.step(instruction) as report:
            number, place = self._progress.number, places.next(instruction.keyword)
            step = next_step(standing.state, instruction, scope)
            outcome = self._perform(step, standing, place)
            self._report(report, outcome.how, outcome.why)
        after = _after(step, standing, outcome.layer)
        return after if outcome.layer is None else replace(after, below=_said_of(number, outcome.how))

    def _report(self, report: Report, how: StepState, why: Explanation) -> None:
        """Tell how a step ended and why so, in full if that was asked for."""
        report(how, why.reason, (why.details or (why.reason,)) if self._options.explain else ())

    def _perform(self, step: Step, standing: Standing, place: str) -> _Outcome:
        shop = actions.Workshop(self._parts.snapshots, self._parts.workspaces, standing.state.image, standing.why_fresh)
        with ExitStack() as stack:
            match step.action:
                case None:
                    return _Outcome(None, StepState.DONE, Explanation("changes no files"))
                case MakeDirectory(path=path) as action:
                    if actions.is_directory(path, shop):
                        return _Outcome(None, StepState.DONE, Explanation("the directory is there"))
                    task = _Task(action, partial(actions.make_directory, action, shop))
                case RunAction() as action:
                    task = self._run(action, step, shop)
                case action:
                    task = self._copy(action, step, shop, stack)
            args = tuple(sorted(standing.state.args.keys() - standing.state.image.config.env_map().keys()))
            return self._cached(task, shop, Spot(place, label_of(step.instruction), standing.below, args))

    def _run(self, action: RunAction, step: Step, shop: actions.Workshop) -> _Task:
        instruction, parts = step.instruction, self._parts
        assert isinstance(instruction, df.Run)
        supplies = Supplies(parts.caches, parts.hashes, self._options.secrets)
        mounting = Mounting(
            instruction, action.mounts, supplies, partial(self._origin, instruction=instruction, image=shop.image)
        )
        make = partial(actions.run, action, mounting, shop, parts.run_step, self._progress.output)
        return _Task(action, make, mounting.content, mounting.files)

    def _copy(self, action: CopyAction, step: Step, shop: actions.Workshop, stack: ExitStack) -> _Task:
        """What there is to copy; what is fetched for it stays until the stack ends."""
        again = bool(shop.why_fresh)
        fetcher = cache(lambda: self._fetcher(stack.enter_context(self._parts.workspaces.new("add-")), again))
        origin = cache(lambda: self._origin(action.origin, step.instruction, shop.image))
        with actions.readable_errors(action):
            inputs = read_inputs(action, origin, fetcher, self._parts.hashes)
        if not inputs.parts and not action.heredocs:
            message = f"nothing matches {' '.join(action.sources)}, so nothing was copied"
            self._progress.warn(message, step.instruction)
        root_owned = not isinstance(action.origin, int | str)
        make = partial(actions.copy_files, action, inputs, root_owned, shop)
        local = [part for part in inputs.parts if isinstance(part, Source)]
        files = partial(file_digests, local, self._parts.hashes, root_owned=root_owned)
        return _Task(action, make, inputs.digest, files)

    def _fetcher(self, directory: Path, again: bool) -> Fetcher:
        def say(message: str) -> None:
            self._progress.output("stderr", f"{message}\n".encode("utf-8", "surrogateescape"))

        return Fetcher(directory, self._parts.cache, say, again=again)

    def _origin(self, name: OriginName, instruction: df.Instruction, image: ImageConfig) -> Origin:
        """Where files come from: a context, a stage, or an image for the platform of the one that is built."""
        if name is None:
            return self._context.origin
        if isinstance(name, NamedDirectory):
            return Context(Path(name.path), name=name.name).origin
        if isinstance(name, int):
            stage = next(plan.stage for plan in self._plan.stages if plan.stage.index == name)
            found, what, identity = self._done[name].state.image, f"the stage {stage.name}", ""
        else:
            found, what = self._image(name, instruction, platform_of(image))[0].config, f"the image {name}"
            identity = " ".join(found.diff_ids)
        return Origin(Tree(self._parts.snapshots.lower(found.diff_ids)), what, identity=identity)

    def _cached(self, task: _Task, shop: actions.Workshop, spot: Spot) -> _Outcome:
        """The action's layer from the cache, else made and, if it is certain, kept for the next time."""
        step_key = key(shop.parent, task.action, task.content)
        last_key = self._parts.runs.key(spot.place)
        found = None if shop.why_fresh else self._find(step_key, task.action, shop.parent)
        if found is not None and step_key == last_key:
            return _Outcome(found, StepState.CACHED, hit(step_key, last_key, found.chain_id.short))
        run = step_run(step_key, shop.parent, task.action, spot.args, task.content, task.files())
        if found is not None:
            self._parts.runs.record(spot.place, run)
            return _Outcome(found, StepState.CACHED, hit(step_key, last_key, found.chain_id.short))
        last = self._parts.runs.last(spot.place)
        why = Explanation(shop.why_fresh) if shop.why_fresh else miss(last, run, spot)
        made = task.make()
        if not made.certain:
            doubt = "; a file changed while it was copied, so it won't be cached"
            return _Outcome(made.layer, StepState.DONE, replace(why, reason=why.reason + doubt))
        self._parts.cache.record(step_key, made.layer, type(task.action).__name__)
        self._parts.runs.record(spot.place, run)
        return _Outcome(made.layer, StepState.DONE, why)

    def _find(self, step_key: str, action: Action, parent: Digest | None) -> Layer | None:
        """The layer from the cache, put on top of `parent` if it is one for that."""
        if stands_alone(action):
            return self._parts.cache.find_rebased(step_key, parent, type(action).__name__)
        return self._parts.cache.find(step_key, parent)

    def _store(self, standing: Standing) -> Image:
        """Store the image; one that differs from an earlier one in nothing but times is that one."""
        image = standing.state.image
        config = replace(image.config, labels={**image.config.labels, **self._options.labels})
        wanted = replace(image, config=config, created=_now())
        known = None if self._options.no_cache else self._parts.cache.find_image(wanted)
        if known is None:
            self._parts.cache.record_image(wanted)
        return self._parts.store.add_image(known or wanted, standing.layers, references=self._options.tags)


def _suited(image: Image | None, platform: Platform) -> Image | None:
    """The image if it is for the platform."""
    return image if image is not None and suits(platform_of(image.config), platform) else None


def _after(step: Step, standing: Standing, layer: Layer | None) -> Standing:
    """The stage after a step: its layer added, and its line in the history."""
    image, layers = step.after.image, standing.layers
    if layer is not None:
        image = replace(image, diff_ids=(*image.diff_ids, layer.diff_id))
        layers = (*layers, layer.descriptor)
    if step.created_by:
        line = History(_now(), step.created_by, comment=_COMMENT, empty_layer=layer is None)
        image = replace(image, history=(*image.history, line))
    return replace(standing, state=replace(step.after, image=image), layers=layers)


def _said_of_base(base: int | str | None, how: StepState) -> Explanation:
    """What a stage starts with."""
    if base is None:
        return Explanation("starts with nothing")
    if isinstance(base, int):
        return Explanation("starts with what a stage before it came to")
    return Explanation("the base image is here" if how is StepState.CACHED else "the base image was fetched")


def _said_of(number: int, how: StepState) -> str:
    """What a step has to do with it that the next one stands on other layers than the last time."""
    what = "ran again" if how is StepState.DONE else "has another result than the last time"
    return f"parent step {number} {what}"


def _without_triggers(standing: Standing) -> Standing:
    """The same, once its ONBUILD triggers are known: an image hands them on only once."""
    image = standing.state.image
    image = replace(image, config=replace(image.config, on_build=()))
    return replace(standing, state=replace(standing.state, image=image))


def _now() -> str:
    """The time in RFC 3339, to the nanosecond."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09}Z"
