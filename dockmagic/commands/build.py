"""The build command, and what `%%dockerfile` shares with it. Source: docker build's reference."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dockmagic.commands import values
from dockmagic.commands.build_cache import add_cache_flags, cache_sources, cache_targets
from dockmagic.commands.build_call import BUILD, CHECK, Described, add_call_flags, described
from dockmagic.commands.build_files import add_file_flags, forget, write
from dockmagic.commands.build_output import add_output_flags, outputs, rewrites
from dockmagic.commands.build_steps import add_step_flags, run_settings
from dockmagic.commands.command import Command, CommandParser, Console, Namespace, typed
from dockmagic.commands.environment import build_arguments, pairs
from dockmagic.commands.progress_style import ProgressStyle, chosen_style, style_named
from dockmagic.commands.refused import BUILD as NOT_YET
from dockmagic.commands.refused import add_refused
from dockmagic.commands.results import Checked
from dockmagic.commands.secrets import secrets
from dockmagic.commands.ssh import add_ssh_flag, agents
from dockmagic.errors import RunFailed
from dockmagic.events import ignore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dockmagic.builder.flags import BuildFlags
    from dockmagic.engine import Engine
    from dockmagic.image.store import Image

_EPOCH: Final = "SOURCE_DATE_EPOCH"


@dataclass(frozen=True)
class Built:
    """The image that a build made; the build itself was shown while it ran, unless it was `quiet`."""

    image: Image
    quiet: bool = False

    def __str__(self) -> str:
        """The image's id."""
        return str(self.image.id)

    def _ipython_display_(self) -> None:
        """Show nothing more than the build did; NotImplementedError makes IPython show the id."""
        if self.quiet:
            raise NotImplementedError


def add_build_flags(parser: CommandParser) -> None:
    """Add the flags that a build has wherever its Dockerfile comes from."""
    parser.add_argument("-t", "--tag", action="append", default=[], metavar="REFERENCE", help="name the image")
    parser.add_argument(
        "--build-arg", action="append", default=[], metavar="NAME=VALUE", help="set an ARG; NAME takes its value here"
    )
    parser.add_argument(
        "--build-context", action="append", default=[], metavar="NAME=SOURCE",
        help="what NAME is for FROM and COPY --from: a directory, a URL, docker-image://REFERENCE or oci-layout://PATH:TAG",
    )  # fmt: skip
    parser.add_argument("--target", metavar="STAGE", help="stage to build (the last one)")
    parser.add_argument("--no-cache", action="store_true", help="run every step again")
    parser.add_argument(
        "--no-cache-filter", action="append", default=[], type=typed(values.names), metavar="STAGE[,STAGE]",
        help="run every step of these stages again",
    )  # fmt: skip
    parser.add_argument(
        "--platform", default=os.environ.get("DOCKER_DEFAULT_PLATFORM", ""), metavar="OS/ARCH",
        help="platform that the image is for (this machine's)",
    )  # fmt: skip
    parser.add_argument("--pull", action="store_true", help="look for newer base images")
    parser.add_argument("--label", action="append", default=[], metavar="NAME=VALUE", help="add a label")
    parser.add_argument(
        "--secret", action="append", default=[], metavar="id=ID,src=FILE", help="show RUN a secret; or id=ID,env=NAME"
    )
    add_ssh_flag(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="show nothing but the image's id")
    parser.add_argument(
        "--progress", type=typed(style_named), metavar="STYLE",
        help="how to show it: auto, plain, tty, quiet, rawjson, or classic: step by step with temporary containers",
    )  # fmt: skip
    parser.add_argument("--rm", "--force-rm", action="store_true", help="always so: no step leaves a container behind")
    parser.add_argument("--explain", action="store_true", help="say of every step why it ran, or why it needn't")
    add_call_flags(parser)
    add_output_flags(parser)
    add_cache_flags(parser)
    add_file_flags(parser)
    add_step_flags(parser)
    add_refused(parser, NOT_YET)


def build_text(
    engine: Engine,
    args: Namespace,
    dockerfile: str,
    console: Console,
    *,
    context: Path | str | None,
    filename: str = "Dockerfile",
    path: Path | None = None,
) -> Built | Checked | Described:
    """Build an image from the text of a Dockerfile, or do what `--call` says.

    `filename` is what messages call it, `path` where it is on disk.
    """
    if args.call == CHECK:
        return _check(engine, args, dockerfile, context, filename, path)
    if args.call != BUILD:
        return described(engine, args, dockerfile, filename)
    style = chosen_style(args.progress, args.quiet, os.environ)
    quiet = style is ProgressStyle.QUIET
    flags = _options(args, style)
    with ExitStack() as stack:
        flags["outputs"] = stack.enter_context(outputs(args, console, speaks=quiet or style is ProgressStyle.CLASSIC))
        forget(args)
        stack.enter_context(_errors_in(style))
        on_event = ignore if quiet else stack.enter_context(console.watching(style))
        image = engine.build(
            dockerfile, context=context, filename=filename, dockerfile_path=path, on_event=on_event, **flags
        )
    write(args, image)
    return Built(image, quiet)


def _options(args: Namespace, style: ProgressStyle) -> BuildFlags:
    """What the flags ask of the engine's build. Raises InvalidOption."""
    from dockmagic.commands.build_context import build_contexts

    stages = [name for names in args.no_cache_filter for name in names]
    return {
        "tags": tuple(args.tag),
        "build_args": _build_args(args),
        "target": args.target,
        "no_cache": args.no_cache or stages or False,
        "platform": args.platform,
        "run": run_settings(args),
        "pull": args.pull,
        "labels": pairs(args.label),
        "network": args.network,
        "build_contexts": build_contexts(args.build_context),
        "explain": args.explain,
        "secrets": secrets(args.secret, os.environ),
        "parallel": style is not ProgressStyle.CLASSIC,
        "rewrite_timestamp": rewrites(args),
        "ssh": agents(args.ssh, os.environ),
        "cache_to": cache_targets(args.cache_to),
        "cache_from": cache_sources(args.cache_from),
    }


def _build_args(args: Namespace) -> dict[str, str]:
    """Build arguments; as with buildx, SOURCE_DATE_EPOCH is taken from the environment where it isn't given."""
    given = build_arguments(args.build_arg, os.environ)
    epoch = os.environ.get(_EPOCH, "")
    return {_EPOCH: epoch, **given} if epoch else given


@contextmanager
def _errors_in(style: ProgressStyle) -> Iterator[None]:
    """The error of a command that failed has the end of its output where nothing else was shown; its words suit."""
    try:
        yield
    except RunFailed as error:
        if style is ProgressStyle.QUIET and error.output:
            error.args = (f"{error}\n{error.output}",)
        if style is ProgressStyle.CLASSIC:
            error.args = (f"The command '{error.command}' returned a non-zero code: {error.exit_status}",)
        raise


def _check(
    engine: Engine, args: Namespace, dockerfile: str, context: Path | str | None, filename: str, path: Path | None
) -> Checked:
    """What lint finds in the text."""
    warnings = engine.check(
        dockerfile,
        context=context,
        filename=filename,
        dockerfile_path=path,
        build_args=build_arguments(args.build_arg, os.environ),
        target=args.target,
        platform=args.platform,
    )
    return Checked(warnings, dockerfile, filename)


def _arguments(parser: CommandParser) -> None:
    """Add build's flags and its context."""
    parser.add_argument("-f", "--file", metavar="FILE", help="the Dockerfile (PATH/Dockerfile); -: standard input")
    add_build_flags(parser)
    parser.add_argument(
        "path",
        metavar="PATH",
        help="directory or URL for COPY and ADD; -: standard input",
    )


def _build(engine: Engine, args: Namespace, console: Console) -> Built | Checked | Described:
    """Build an image from a Dockerfile in a directory, on standard input or elsewhere."""
    from dockmagic.commands.build_context import located

    with ExitStack() as stack:
        place = located(engine, args, stack)
        return build_text(
            engine, args, place.text, console, context=place.context, filename=place.filename, path=place.path
        )


def _show(result: Built | Checked | Described, console: Console) -> None:
    """Write what a check found, what the Dockerfile says of itself, or the id of a quiet build."""
    if not isinstance(result, Built) or result.quiet:
        console.write("stdout", f"{result}\n".encode())


COMMANDS = (Command("image", "build", ("build",), "Build an image from a Dockerfile.", _arguments, _build, _show),)
