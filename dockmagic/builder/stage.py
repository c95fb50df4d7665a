"""One stage of a build: its steps one after another, each from the cache or made anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Protocol

from dockmagic.builder import actions
from dockmagic.builder.cache_transfer import CacheImports, CacheRecord
from dockmagic.builder.content import digests_of
from dockmagic.builder.explain import Explanation, Spot, StepRun, hit, label_of, miss, step_run
from dockmagic.builder.inputs import Fetcher, read_inputs
from dockmagic.builder.mounting import Mounting, Supplies
from dockmagic.builder.parts import BuildOptions, Parts
from dockmagic.builder.plan import Origin as OriginName
from dockmagic.builder.plan import StagePlan, names_of_origins
from dockmagic.builder.progress import Progress, StepReport
from dockmagic.builder.runs import Places
from dockmagic.builder.sources import Origin
from dockmagic.builder.steps import (
    Action,
    CopyAction,
    MakeDirectory,
    RunAction,
    Scope,
    StageState,
    Step,
    key,
    next_step,
    stands_alone,
)
from dockmagic.dockerfile import instructions as df
from dockmagic.events import StepState
from dockmagic.image.snapshot import Layer
from dockmagic.oci.descriptor import Descriptor
from dockmagic.oci.digest import Digest
from dockmagic.oci.image import History, ImageConfig

_COMMENT = "buildkit.dockerfile.v0"  # in the history of everything built by these rules


class Surroundings(Protocol):
    """What a stage knows of the rest of the build."""

    parts: Parts
    options: BuildOptions
    progress: Progress
    agents: Mapping[str, Path]
    imports: CacheImports

    def wait_for(self, index: int) -> Standing:
        """What an earlier stage came to, once it is done."""

    def origin(self, name: OriginName, instruction: df.Instruction, image: ImageConfig) -> Origin:
        """Where files come from: a context, a stage that is done, or an image for the platform of `image`."""

    def made(self, step_key: str) -> tuple[Layer, int] | None:
        """The layer that was made under this key in this build, and the number of the step."""

    def note(self, step_key: str, layer: Layer, number: int) -> None:
        """A layer was made in this build."""

    def keep(self, record: CacheRecord) -> None:
        """A step has this layer, which other builds may use."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a stage is: the config, with its diff IDs, and the layers' blobs, lowest first.

    `below` says of these layers, where they aren't those of the last time, why.
    """

    state: StageState
    layers: tuple[Descriptor, ...]
    below: str = ""


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


class StageBuild:
    """The steps of one stage."""

    def __init__(self, around: Surroundings, stage_plan: StagePlan, scope: Scope, first: int, name: str) -> None:
        """`first` is the number of the first step after FROM, `name` what the stage is called in reports."""
        self._around = around
        self._parts = around.parts
        self._options = around.options
        self._scope = scope
        self._first = first
        self._name = name
        self._places = Places(self._options.name, stage_plan.stage.name)
        self._why_fresh = self._options.why_fresh(stage_plan.stage.name)

    def run(self, standing: Standing, instructions: Sequence[df.Instruction]) -> Standing:
        """Where the stage is after these instructions. Raises what a failed step does."""
        for number, instruction in enumerate(instructions, self._first):
            for name, _ in names_of_origins(instruction):
                origin = self._scope.origins.get(name)
                if isinstance(origin, int):
                    self._around.wait_for(origin)
            standing = self._step(standing, instruction, number)
        return standing

    def _step(self, standing: Standing, instruction: df.Instruction, number: int) -> Standing:
        with self._around.progress.step(instruction, number, self._name) as report:
            place = self._places.next(instruction.keyword)
            step = next_step(standing.state, instruction, self._scope)
            outcome = self._perform(step, standing, place, report)
            after, is_known = self._after(step, standing, outcome)
            how = StepState.CACHED if is_known and outcome.layer is None else outcome.how
            report.ended(how, outcome.why, after.state.image)
        return after if outcome.layer is None else replace(after, below=_said_of(number, outcome.how))

    def _perform(self, step: Step, standing: Standing, place: str, report: StepReport) -> _Outcome:
        parts, image = self._parts, standing.state.image
        shop = actions.Workshop(parts.snapshots, parts.workspaces, image, self._options.latest_s)
        with ExitStack() as stack:
            match step.action:
                case None:
                    return _Outcome(None, StepState.DONE, Explanation("changes no files"))
                case MakeDirectory(path=path) as action:
                    if actions.is_directory(path, shop):
                        return _Outcome(None, StepState.DONE, Explanation("the directory is there"))
                    task = _Task(action, partial(actions.make_directory, action, shop))
                case RunAction() as action:
                    task = self._run(action, step, shop, report)
                case action:
                    task = self._copy(action, step, shop, stack, report)
            args = tuple(sorted(standing.state.args.keys() - image.config.env_map().keys()))
            return self._cached(task, shop, Spot(place, label_of(step.instruction), standing.below, args), report)

    def _run(self, action: RunAction, step: Step, shop: actions.Workshop, report: StepReport) -> _Task:
        instruction, parts = step.instruction, self._parts
        assert isinstance(instruction, df.Run)
        supplies = Supplies(parts.caches, parts.hashes, self._options.secrets, self._around.agents)
        origin = partial(self._around.origin, instruction=instruction, image=shop.image)
        mounting = Mounting(instruction, action.mounts, supplies, origin)
        make = partial(actions.run, action, mounting, shop, parts.run_step, report)
        return _Task(action, make, mounting.content, mounting.files)

    def _copy(
        self, action: CopyAction, step: Step, shop: actions.Workshop, stack: ExitStack, report: StepReport
    ) -> _Task:
        """What there is to copy; what is fetched for it stays until the stack ends."""
        fetcher = cache(lambda: self._fetcher(stack.enter_context(self._parts.workspaces.new("add-")), report))
        origin = cache(lambda: self._around.origin(action.origin, step.instruction, shop.image))
        with actions.readable_errors(action):
            inputs = read_inputs(action, origin, fetcher, self._parts.hashes)
        if not inputs.parts and not action.heredocs:
            report.warn(f"nothing matches {' '.join(action.sources)}, so nothing was copied")
        root_owned = not isinstance(action.origin, int | str)
        make = partial(actions.copy_files, action, inputs, root_owned, shop)
        return _Task(action, make, inputs.digest, partial(digests_of, inputs.items))

    def _fetcher(self, directory: Path, report: StepReport) -> Fetcher:
        def say(message: str) -> None:
            report.output("stderr", f"{message}\n".encode("utf-8", "surrogateescape"))

        return Fetcher(directory, self._parts.cache, say, again=bool(self._why_fresh), secrets=self._options.secrets)

    def _cached(self, task: _Task, shop: actions.Workshop, spot: Spot, report: StepReport) -> _Outcome:
        """The action's layer from this build or the cache, else made and, if it is certain, kept for the next time."""
        step_key = key(shop.parent, task.action, task.content, self._options.latest_s)
        with self._parts.making.hold(step_key):
            made = self._around.made(step_key)
            if made is not None:
                layer = self._on_top(shop.parent, made[0])
                return _Outcome(layer, StepState.CACHED, Explanation(f"the same as step {made[1]}"))
            found = self._found(task, step_key, shop.parent, spot)
            if found is not None:
                return found
            return self._made(task, step_key, shop, spot, report)

    def _on_top(self, parent: Digest | None, layer: Layer) -> Layer:
        """The layer on top of `parent`, which one of a step that `stands_alone` needn't have been made on."""
        return self._parts.snapshots.unpack(parent, layer.descriptor, layer.diff_id)

    def _found(self, task: _Task, step_key: str, parent: Digest | None, spot: Spot) -> _Outcome | None:
        """The layer from the cache, if it is there; what it was made of is what the next run is compared with."""
        found = None if self._why_fresh else self._find(step_key, task.action, parent)
        if found is None:
            return None
        self._keep(step_key, found, task.action)
        last_key = self._parts.runs.key(spot.place)
        if step_key != last_key:
            self._parts.runs.record(spot.place, _run_of(task, step_key, parent, spot))
        return _Outcome(found, StepState.CACHED, hit(step_key, last_key, found.chain_id.short))

    def _find(self, step_key: str, action: Action, parent: Digest | None) -> Layer | None:
        """The layer from the cache or an imported one, put on top of `parent` if it is one for that."""
        cache, kind = self._parts.cache, type(action).__name__
        here = cache.find_rebased(step_key, parent, kind) if stands_alone(action) else cache.find(step_key, parent)
        if here is not None:
            return here
        imported = self._around.imports.find(step_key, parent)
        if imported is not None:
            cache.record(step_key, imported, kind)
        return imported

    def _keep(self, step_key: str, layer: Layer, action: Action) -> None:
        self._around.keep(CacheRecord(step_key, type(action).__name__, layer.diff_id, layer.descriptor))

    def _made(self, task: _Task, step_key: str, shop: actions.Workshop, spot: Spot, report: StepReport) -> _Outcome:
        """The layer made anew. Raises the failure of a command, after keeping what it left."""
        run = _run_of(task, step_key, shop.parent, spot)
        why = self._why(run, spot)
        made = task.make()
        kind = type(task.action).__name__
        if made.failure is not None:
            self._parts.cache.record(f"failed {report.container_id}", made.layer, kind)
            report.left = _left(shop.image, task.action, made.layer)
            raise made.failure
        if not made.certain:
            doubt = "; a file changed while it was copied, so it won't be cached"
            return _Outcome(made.layer, StepState.DONE, replace(why, reason=why.reason + doubt))
        layer, why = self._settled(made.layer, task.action, why)
        with self._parts.store.at_once():
            self._parts.cache.record(step_key, layer, kind)
            self._parts.runs.record(spot.place, run)
        self._around.note(step_key, layer, report.number)
        self._keep(step_key, layer, task.action)
        return _Outcome(layer, StepState.DONE, why)

    def _settled(self, layer: Layer, action: Action, why: Explanation) -> tuple[Layer, Explanation]:
        """The layer that a command is taken to have made: the one of an earlier run, if all but times is the same.

        Where times are limited, those of the earlier run may be later, so that it doesn't do.
        """
        if not isinstance(action, RunAction) or self._options.no_cache or self._options.latest_s is not None:
            return layer, why
        twin = self._parts.twins.find(layer, type(action).__name__)
        if twin is None:
            return layer, why
        return twin, replace(why, reason=f"{why.reason}; it made the same files as before")

    def _why(self, run: StepRun, spot: Spot) -> Explanation:
        """Why a step has to run."""
        if self._why_fresh:
            return Explanation(self._why_fresh)
        return miss(self._parts.runs.last(spot.place), run, spot)

    def _after(self, step: Step, standing: Standing, outcome: _Outcome) -> tuple[Standing, bool]:
        """The stage after a step, its layer added, and its line in the history; and whether it was built before.

        What was built before, times apart, keeps the times that it has.
        """
        image, layers, now = step.after.image, standing.layers, self._options.now()
        if outcome.layer is not None:
            image = replace(image, diff_ids=(*image.diff_ids, outcome.layer.diff_id))
            layers = (*layers, outcome.layer.descriptor)
        if step.created_by:
            line = History(now, step.created_by, comment=_COMMENT, empty_layer=outcome.layer is None)
            image = replace(image, history=(*image.history, line), created=now)
        known = self._known(image, outcome)
        return replace(standing, state=replace(step.after, image=known or image), layers=layers), known is not None

    def _known(self, image: ImageConfig, outcome: _Outcome) -> ImageConfig | None:
        is_new = outcome.layer is not None and outcome.how is StepState.DONE
        if is_new or self._why_fresh or self._options.epoch_s is not None:
            return None
        return self._parts.history.known(image)


def _left(image: ImageConfig, action: Action, layer: Layer) -> ImageConfig:
    """The state in which a command failed; its build arguments are in the environment, as they were for the command."""
    env = action.env if isinstance(action, RunAction) else ()
    config = replace(image.config, env=(*image.config.env, *env))
    return replace(image, config=config, diff_ids=(*image.diff_ids, layer.diff_id))


def _run_of(task: _Task, step_key: str, parent: Digest | None, spot: Spot) -> StepRun:
    """What a run of the task is made of."""
    return step_run(step_key, parent, task.action, spot.args, task.content, task.files())


def _said_of(number: int, how: StepState) -> str:
    """What a step has to do with it that the next one stands on other layers than the last time."""
    what = "ran again" if how is StepState.DONE else "has another result than the last time"
    return f"parent step {number} {what}"
