"""Lint of a Dockerfile where it is built: with the build's arguments, the images that are here, and the context."""

from __future__ import annotations

from pathlib import Path

from dockmagic.builder.context import Context
from dockmagic.builder.plan import CHECK_ARG, BuildArgs
from dockmagic.builder.remotes import Remotes
from dockmagic.dockerfile.directives import Checks
from dockmagic.dockerfile.lint import LintWarning, lint
from dockmagic.dockerfile.lint_subject import Base, Surroundings
from dockmagic.dockerfile.nodes import Dockerfile
from dockmagic.dockerfile.parser import parse
from dockmagic.dockerfile.stages import stages
from dockmagic.errors import InvalidReference
from dockmagic.image.store import ImageStore


def check_dockerfile(
    text: str,
    context: Path | str | None,
    args: BuildArgs,
    store: ImageStore,
    *,
    filename: str = "Dockerfile",
    dockerfile: Path | None = None,
) -> tuple[LintWarning, ...]:
    """What lint finds in the text, by line; nothing is built or pulled. Arguments are those of `build_dockerfile`.

    Raises DockerfileError for a text that can't be built at all.
    """
    parsed = parse(text, filename)
    with Remotes(store.workspaces) as remotes:
        around = surroundings(args, Context(context, dockerfile, remotes=remotes), store)
        return lint(parsed, stages(parsed), around, checks_of(parsed, args))


def checks_of(parsed: Dockerfile, args: BuildArgs) -> Checks:
    """What `# check=` says, or a build argument in its place."""
    return Checks.parse(args.given.get(CHECK_ARG) or parsed.directives.get("check", ""))


def surroundings(args: BuildArgs, context: Context, store: ImageStore) -> Surroundings:
    """What the rules may ask for; the context is looked at only if they do."""

    def base(name: str) -> Base | None:
        try:
            image = store.find(name)
        except InvalidReference:
            return None  # the build says so
        if image is None:
            return None
        config = image.config.config
        platform = "/".join(filter(None, (image.config.os, image.config.architecture, image.config.variant)))
        return Base(config.env_map(), platform, bool(config.shell))

    return Surroundings(args.given, args.automatic(), base, lambda: context.ignore)
