"""A Dockerfile's text to a stored image: parse, plan, execute; and what lint finds, at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from dockmagic.builder.check import checks_of, surroundings
from dockmagic.builder.context import Context
from dockmagic.builder.execute import execute
from dockmagic.builder.history import BuildRecord, new_build_id
from dockmagic.builder.parts import BuildOptions, Parts
from dockmagic.builder.plan import Plan, plan
from dockmagic.builder.progress import Progress
from dockmagic.builder.remotes import Remotes
from dockmagic.builder.settings import GIT_DIR_ARG, truth
from dockmagic.dockerfile.instructions import Program
from dockmagic.dockerfile.lint import lint, refusal
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import DockerfileError, DockmagicError, StoreError
from dockmagic.events import BuildFinished, BuildWarning, OnEvent, ignore
from dockmagic.image.store import Image


def build_dockerfile(
    text: str,
    context: Path | str | None,
    options: BuildOptions,
    parts: Parts,
    *,
    on_event: OnEvent = ignore,
    filename: str = "Dockerfile",
    dockerfile: Path | None = None,
) -> Image:
    """The image that the text describes, stored under the options' tags; what happens is reported meanwhile.

    `context` None is a build without a context, a text the address of one. `dockerfile` is where the text is from, if
    from a file: it decides which .dockerignore applies. Raises DockerfileError, BuildError and RunFailed, that show
    the lines at fault, DockerfileError also for what lint finds where `# check=error=true` says so; NotFound for a
    target that isn't there; and what `parts.pull_base` raises.
    """
    try:
        parsed = parse(text, filename)
        program = stages(parsed)
        build_plan = plan(program, options.args)
    except DockerfileError as error:
        error.locate(text, filename)
        raise
    progress = Progress(build_plan.total, on_event, text, filename, explain=options.explain)
    _warn_of_unused(build_plan, program, options, progress)
    with _remotes(options, parts) as remotes:
        files = Context(context, dockerfile, remotes=remotes)
        checks = checks_of(parsed, options.args)
        find = partial(lint, parsed, program, surroundings(options.args, files, parts.store), checks)
        if checks.error and (refused := refusal(find(), parsed)) is not None:
            raise refused
        try:
            with _remembered(filename, options, parts, progress) as made:
                made.append(execute(build_plan, files, options, parts, progress))
        finally:
            for warning in find():  # now that the base images are here
                on_event(BuildWarning(str(warning), warning.line))
    on_event(BuildFinished(made[0].id, tuple(tag.familiar for tag in options.tags)))
    return made[0]


def _remotes(options: BuildOptions, parts: Parts) -> Remotes:
    """What fetches the contexts that are elsewhere."""
    keep_git_dir = truth(options.args.given, GIT_DIR_ARG)
    return Remotes(parts.workspaces, keep_git_dir=keep_git_dir, secrets=options.secrets)


@contextmanager
def _remembered(filename: str, options: BuildOptions, parts: Parts, progress: Progress) -> Iterator[list[Image]]:
    """Keep a record of what the block does, whatever its end; it puts the image that it makes into the list."""
    tags = tuple(tag.familiar for tag in options.tags)
    build = BuildRecord(new_build_id(), options.name, filename, time.time_ns(), tags)
    made: list[Image] = []
    try:
        yield made
    except BaseException as error:
        told = str(error) if isinstance(error, DockmagicError) else type(error).__name__
        with suppress(StoreError):  # what ended the build counts
            parts.history.record(replace(build, ended_ns=time.time_ns(), error=told, steps=progress.records))
        raise
    image_id = made[0].id
    parts.history.record(replace(build, ended_ns=time.time_ns(), image_id=image_id, steps=progress.records))


def _warn_of_unused(build_plan: Plan, program: Program, options: BuildOptions, progress: Progress) -> None:
    """Say which arguments and which stages of --no-cache-filter there are no such of."""
    if build_plan.unused:
        progress.warn(f"[Warning] One or more build-args [{' '.join(build_plan.unused)}] were not consumed")
    unknown = sorted(name for name in options.no_cache_stages if program.stage(name) is None)
    if unknown:
        progress.warn(f"[Warning] --no-cache-filter: there is no stage {', '.join(unknown)}")
