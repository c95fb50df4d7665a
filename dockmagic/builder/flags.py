"""The flags of a build as keywords, with Docker's names and meaning, and what they come to. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

from dockmagic.builder.addresses import LAYOUT, is_address
from dockmagic.builder.agents import AgentPaths
from dockmagic.builder.cache_transfer import CacheTarget
from dockmagic.builder.outputs import Output, pushes
from dockmagic.builder.parts import BuildOptions
from dockmagic.builder.plan import EPOCH_ARG, BuildArgs, NamedDirectory
from dockmagic.builder.settings import HOST_NETWORK, RunSettings
from dockmagic.builder.times import source_date_epoch
from dockmagic.errors import InvalidOption
from dockmagic.image.platform import platform_option
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.reference import Reference


class BuildFlags(TypedDict, total=False):
    """Keywords of `Engine.build`.

    `build_contexts` are directories, addresses of repositories and archives, references of images, and images of OCI
    layouts (oci-layout://PATH:TAG), by the names that FROM and COPY --from know them by.
    `no_cache` runs all steps again, or those of the stages that it names. `pull` asks the registry for every base
    image. `platform` is such as "linux/arm64"; this machine's without it. `explain` reports with every step all
    that is known of why it ran. `secrets` are contents by id, for RUN --mount=type=secret; nothing keeps them. `ssh`
    has an agent's socket, or files with keys, by id, for RUN --mount=type=ssh. `run` is how RUN steps run. Stages
    that don't need each other are built side by side unless `parallel` is False. The build argument
    SOURCE_DATE_EPOCH sets the image's times; with `rewrite_timestamp` no file of its new layers is younger.
    `outputs` are what is written, or pushed. Where there are some, none of which is the store, and no `tags`, the
    image isn't stored. `cache_from` are directories, or names in registries, of caches to be used besides
    the own one, `cache_to` says where the build's goes.
    """

    tags: Sequence[str]
    build_args: Mapping[str, str]
    target: str | None
    no_cache: bool | Collection[str]
    platform: str
    run: RunSettings
    pull: bool
    labels: Mapping[str, str]
    network: str
    build_contexts: Mapping[str, Path | str]
    explain: bool
    secrets: Mapping[str, bytes]
    ssh: Mapping[str, AgentPaths]
    parallel: bool
    rewrite_timestamp: bool
    outputs: Sequence[Output]
    cache_to: Sequence[CacheTarget]
    cache_from: Sequence[Path | Reference]


def build_options(flags: BuildFlags, host: Platform, name: str = "") -> BuildOptions:
    """What the flags come to on a machine of this platform; `name` tells the build from others.

    Raises InvalidOption and InvalidReference.
    """
    no_cache, args = flags.get("no_cache", False), _build_args(flags, host)
    outputs, epoch_s = tuple(flags.get("outputs", ())), source_date_epoch(args.given)
    if flags.get("rewrite_timestamp") and epoch_s is None:
        raise InvalidOption(f"rewriting times needs a time: --build-arg {EPOCH_ARG}=SECONDS, since 1970")
    tags = tuple(map(Reference.parse, flags.get("tags", ())))
    return BuildOptions(
        args=args,
        tags=tuple(dict.fromkeys((*tags, *_names(outputs)))),
        labels=flags.get("labels", {}),
        no_cache=no_cache is True,
        no_cache_stages=frozenset() if isinstance(no_cache, bool) else frozenset(map(str.lower, no_cache)),
        network=_network(flags),
        pull=flags.get("pull", False),
        explain=flags.get("explain", False),
        name=name,
        secrets=flags.get("secrets", {}),
        ssh=flags.get("ssh", {}),
        parallel=flags.get("parallel", True),
        epoch_s=epoch_s,
        rewrite_timestamp=flags.get("rewrite_timestamp", False),
        outputs=outputs,
        pushes=pushes(outputs, tags),
        cache_to=tuple(flags.get("cache_to", ())),
        cache_from=tuple(flags.get("cache_from", ())),
    )


def _network(flags: BuildFlags) -> str:
    """The network of RUN. A step joins nobody's namespaces, so that any other word would leave it the host's."""
    network = flags.get("network", "default")
    if network not in ("default", "none", "host"):
        raise InvalidOption(
            f"--network {network}: RUN has a way out (default), a loopback (none) or the host's network (host)"
        )
    return network


def _names(outputs: Sequence[Output]) -> Iterator[Reference]:
    """The names in the store that outputs give."""
    for output in outputs:
        if output.is_stored:
            yield from output.names


def _build_args(flags: BuildFlags, host: Platform) -> BuildArgs:
    """What decides over a build's plan."""
    settings, platform = flags.get("run", RunSettings()), flags.get("platform", "")
    if flags.get("network") == "host":
        settings = replace(settings, allow=settings.allow | {HOST_NETWORK})
    return BuildArgs(
        given=flags.get("build_args", {}),
        platform=platform_option(platform, host) if platform else host,
        target=flags.get("target") or "",
        contexts=_named(flags.get("build_contexts", {})),
        build_platform=host,
        run=settings,
    )


def _named(contexts: Mapping[str, Path | str]) -> dict[str, NamedDirectory | str]:
    """Named contexts as a build's plan knows them."""
    return {name: _known(name, value) for name, value in contexts.items()}


def _known(name: str, value: Path | str) -> NamedDirectory | str:
    image = isinstance(value, str) and (value.startswith(LAYOUT) or not is_address(value))
    return str(value) if image else NamedDirectory(name, str(value))
