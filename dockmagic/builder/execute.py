"""Carry out a plan: stages side by side, each waiting for those that it takes something from; then store the image.

An interrupt at any point leaves nothing behind but the layers of the steps that were done, which the cache has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dockmagic.builder.addresses import LAYOUT
from dockmagic.builder.agents import served
from dockmagic.builder.bases import Bases
from dockmagic.builder.cache_transfer import CacheImports, CacheRecord, export_cache, inlined
from dockmagic.builder.context import Context
from dockmagic.builder.crew import Crew, Task
from dockmagic.builder.explain import Explanation
from dockmagic.builder.outputs import Exporter
from dockmagic.builder.parts import BuildOptions, Parts
from dockmagic.builder.plan import NamedDirectory, Plan, StagePlan, triggers_of
from dockmagic.builder.plan import Origin as OriginName
from dockmagic.builder.progress import Progress
from dockmagic.builder.sources import Origin
from dockmagic.builder.stage import StageBuild, Standing
from dockmagic.builder.steps import Scope, StageState, begin
from dockmagic.builder.tree import Tree
from dockmagic.builder.triggers import triggered
from dockmagic.dockerfile import instructions as df
from dockmagic.events import StepState
from dockmagic.image.platform import platform_of
from dockmagic.image.snapshot import Layer
from dockmagic.image.store import Image
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.image import ContainerConfig, ImageConfig


@dataclass(frozen=True, slots=True)
class _Opened:
    """Where a stage starts, the triggers that come first, and the plans of what it needs with them, itself last."""

    standing: Standing
    triggers: tuple[df.Instruction, ...]
    plans: tuple[StagePlan, ...]


def execute(plan: Plan, context: Context, options: BuildOptions, parts: Parts, progress: Progress) -> Image:
    """The image of the plan's last stage, stored under the tags and written to the outputs.

    One that isn't to be stored has its blobs only as long as the caller holds the store's content.
    Raises DockerfileError, BuildError and RunFailed where a step fails, and what `pull_base` raises.
    """
    imported = CacheImports(options.cache_from, parts.store, parts.snapshots, parts.open_artifact, progress.warn)
    with parts.workspaces.hold(), served(options.ssh) as agents, imported as imports:
        build = _Build(plan, context, options, parts, progress, agents, imports)
        image = build.store(build.run())
        Exporter(parts.store, parts.snapshots, options.tags, options.epoch_s).write(image, options.outputs)
        for target in options.cache_to:
            export_cache(target, build.records, image.config.diff_ids, parts.store, parts.push_artifact)
        return image


class _Build:
    """One build: its stages, and what they were made with."""

    def __init__(
        self,
        plan: Plan,
        context: Context,
        options: BuildOptions,
        parts: Parts,
        progress: Progress,
        agents: Mapping[str, Path],
        imports: CacheImports,
    ) -> None:
        self.parts = parts
        self.agents = agents
        self.imports = imports
        self.options = options
        self.progress = progress
        self._plan = plan
        self._context = context
        contexts = options.args.contexts.values()
        layouts = [each for each in contexts if isinstance(each, str) and each.startswith(LAYOUT)]
        self._bases = Bases(parts, layouts, newest=options.pull)
        self._crew = Crew(parallel=options.parallel and len(plan.stages) > 1)
        self._plans = {each.stage.index: each for each in plan.stages}
        self._stages: dict[int, Task[Standing]] = {}
        self._made: dict[str, tuple[Layer, int]] = {}
        self._kept: dict[str, CacheRecord] = {}

    def run(self) -> Standing:
        """Where the last stage ends."""
        with self._crew as crew:
            begun = crew.start(self._begin_all)
        begun.result()
        return self._stages[self._plan.stages[-1].stage.index].result()

    def store(self, standing: Standing) -> Image:
        """Store the image, with the labels from outside, if it is to be stored."""
        image, options = standing.state.image, self.options
        if options.labels:
            config = replace(image.config, labels={**image.config.labels, **options.labels})
            image = self._as_before(replace(image, config=config, created=options.now()))
        inline = any(target.place is None for target in options.cache_to)
        image = inlined(image, self.records, wanted=inline)
        if not options.is_stored:
            return self.parts.store.passing_image(image, standing.layers)
        return self.parts.store.add_image(image, standing.layers, references=options.tags)

    def wait_for(self, index: int) -> Standing:
        """What an earlier stage came to, once it is done."""
        return self._stages[index].result()

    def origin(self, name: OriginName, instruction: df.Instruction, image: ImageConfig) -> Origin:
        """Where files come from: a context, a stage that is done, or an image for the platform of `image`."""
        if name is None:
            return self._context.origin
        if isinstance(name, NamedDirectory):
            return self._context.named(name.name, name.path).origin
        if isinstance(name, int):
            stage = self._plans[name].stage
            found, what, identity = self.wait_for(name).state.image, f"the stage {stage.name}", ""
        else:
            found = self._bases.get(name, platform_of(image), instruction)[0].config
            what, identity = f"the image {name}", " ".join(found.diff_ids)
        return Origin(Tree(self.parts.snapshots.lower(found.diff_ids)), what, identity=identity)

    def made(self, step_key: str) -> tuple[Layer, int] | None:
        """The layer that was made under this key in this build, and the number of the step."""
        return self._made.get(step_key)

    def note(self, step_key: str, layer: Layer, number: int) -> None:
        """A layer was made in this build."""
        self._made[step_key] = (layer, number)

    def keep(self, record: CacheRecord) -> None:
        """A step has this layer, which other builds may use."""
        self._kept[record.key] = record

    @property
    def records(self) -> list[CacheRecord]:
        """The steps that may be used elsewhere, in an order that doesn't depend on chance."""
        return [self._kept[key] for key in sorted(self._kept)]

    def _begin_all(self) -> None:
        """Begin the stages in the order of the file, so that the numbers of their steps don't depend on chance.

        A stage's number of steps is known once its base is, since that may have triggers.
        """
        self._fetch_bases()
        number = 1
        for stage_plan in self._plan.stages:
            number = self._begin(stage_plan, number)

    def _fetch_bases(self) -> None:
        """Get several base images at the same time."""
        wanted = [plan for plan in self._plan.stages if isinstance(plan.base, str)]
        if len({(plan.base, plan.platform) for plan in wanted}) > 1:
            for plan in wanted:
                self._crew.start(partial(self._bases.fetch, str(plan.base), plan.platform, plan.stage.from_))

    def _begin(self, stage_plan: StagePlan, number: int) -> int:
        """Begin a stage whose FROM has this number; the number of the next stage's.

        The triggers of an image may need stages that nothing else does; their steps come behind the FROM.
        """
        first, steps = number + 1, len(stage_plan.stage.instructions)
        self.progress.expect_stage(number, 1 + steps)
        if isinstance(stage_plan.base, int):
            triggers = len(triggers_of(self._plans[stage_plan.base].stage))
            opened: Callable[[], _Opened] = partial(self._open, stage_plan, number)
        else:
            found = self._open(stage_plan, number)
            triggers, opened = len(found.triggers), lambda: found
            for more in found.plans[:-1]:
                first = self._begin_more(more, first)
        self.progress.expect(triggers)
        self.progress.expect_stage(number, 1 + steps + triggers)
        self._stages[stage_plan.stage.index] = self._crew.start(partial(self._stage, first, opened))
        return first + steps + triggers

    def _begin_more(self, stage_plan: StagePlan, number: int) -> int:
        """Begin a stage that wasn't planned, unless it is one that was."""
        if stage_plan.stage.index in self._plans:
            return number
        self._plans[stage_plan.stage.index] = stage_plan
        self.progress.expect(1 + len(stage_plan.stage.instructions))
        return self._begin(stage_plan, number)

    def _stage(self, first: int, opened: Callable[[], _Opened]) -> Standing:
        """Build a stage whose first step after FROM has this number."""
        found = opened()
        options, plan, stage_plan = self.options, self._plan, found.plans[-1]
        origins, escape = stage_plan.origins, plan.program.escape
        scope = Scope(options.args, plan.global_args, origins, options.network, escape, options.epoch_s)
        build = StageBuild(self, stage_plan, scope, first, self._name(stage_plan))
        return build.run(found.standing, (*found.triggers, *stage_plan.stage.instructions))

    def _open(self, stage_plan: StagePlan, number: int) -> _Opened:
        """Carry out FROM: where the stage starts, and the triggers that come first."""
        base, from_ = stage_plan.base, stage_plan.stage.from_
        former = self.wait_for(base) if isinstance(base, int) else None
        with self.progress.step(from_, number, self._name(stage_plan)) as report:
            if former is not None:
                image, how, layers, below = former.state.image, StepState.CACHED, former.layers, former.below
            elif isinstance(base, str):
                found, how = self._bases.get(base, stage_plan.platform, from_)
                image, layers, below = found.config, found.manifest.layers, "the base image is another one"
            else:
                image, how, layers, below = _nothing(stage_plan.platform), StepState.CACHED, (), ""
            state = begin(image, {} if former is None else former.state.args)
            triggers = triggered(state, from_, self._plan.program.escape)
            plans = self._plan.with_triggers(stage_plan, triggers)
            report.ended(how, _said_of_base(base, how), None if base is None else image)
        return _Opened(Standing(_without_triggers(state), layers, below), triggers, plans)

    def _name(self, stage_plan: StagePlan) -> str:
        """What reports call the stage; "" where it is the only one."""
        stage = stage_plan.stage
        return "" if len(self._plans) == 1 else stage.from_.name or f"stage-{stage.index}"

    def _as_before(self, image: ImageConfig) -> ImageConfig:
        """The image, or the one from before that differs from it in nothing but times."""
        if self.options.no_cache or self.options.epoch_s is not None:
            return image
        known = self.parts.cache.find_image(image)
        if known is None:
            self.parts.cache.record_image(image)
        return known or image


def _nothing(platform: Platform) -> ImageConfig:
    """The image that FROM scratch stands for."""
    config = ContainerConfig(working_dir="/")
    return ImageConfig(platform.architecture, platform.os, config, variant=platform.variant)


def _said_of_base(base: int | str | None, how: StepState) -> Explanation:
    """What a stage starts with."""
    if base is None:
        return Explanation("starts with nothing")
    if isinstance(base, int):
        return Explanation("starts with what a stage before it came to")
    return Explanation("the base image is here" if how is StepState.CACHED else "the base image was fetched")


def _without_triggers(state: StageState) -> StageState:
    """The same, once its ONBUILD triggers are known: an image hands them on only once."""
    return replace(state, image=replace(state.image, config=replace(state.image.config, on_build=())))
