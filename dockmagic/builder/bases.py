"""The images that a build starts and copies from: each is looked up, or pulled, once for the whole build."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from dockmagic.builder.addresses import layout_image
from dockmagic.builder.crew import KeyLocks
from dockmagic.builder.parts import Parts
from dockmagic.dockerfile import instructions as df
from dockmagic.errors import DockerfileError, InvalidManifest, InvalidReference
from dockmagic.events import StepState
from dockmagic.image.load import load_one
from dockmagic.image.platform import platform_of, suits
from dockmagic.image.store import Image
from dockmagic.oci.descriptor import Platform
from dockmagic.oci.reference import Reference

_Wanted = tuple[str, Platform]


class Bases:
    """Images by platform and by the names that the Dockerfile has for them; any thread may ask."""

    def __init__(self, parts: Parts, layouts: Collection[str] = (), *, newest: bool) -> None:
        """`newest` asks the registry for images that are here, too; `layouts` are names that stand for a directory."""
        self._parts = parts
        self._layouts = layouts
        self._newest = newest
        self._known: dict[_Wanted, tuple[Image, StepState]] = {}
        self._failed: dict[_Wanted, Exception] = {}
        self._locks = KeyLocks()

    def get(self, name: str, platform: Platform, instruction: df.Instruction) -> tuple[Image, StepState]:
        """The image, and whether it was here already; raises DockerfileError for no name, and what a pull raises."""
        wanted = name, platform
        with self._locks.hold(str(wanted)):
            if wanted in self._failed:
                raise self._failed[wanted]
            if wanted not in self._known:
                try:
                    self._known[wanted] = self._found(name, platform)
                except InvalidReference as error:
                    raise DockerfileError(str(error), line=instruction.line, end_line=instruction.end_line) from error
                except Exception as error:
                    self._failed[wanted] = error
                    raise
            return self._known[wanted]

    def fetch(self, name: str, platform: Platform, instruction: df.Instruction) -> None:
        """Get the image for those who will ask for it; they hear what goes wrong."""
        with suppress(Exception):
            self.get(name, platform, instruction)

    def _found(self, name: str, platform: Platform) -> tuple[Image, StepState]:
        if name in self._layouts:
            return self._loaded(name, platform), StepState.DONE
        here = None if self._newest else self._parts.store.find(name)
        if here is not None and suits(platform_of(here.config), platform):
            return here, StepState.CACHED
        return self._parts.pull_base(Reference.parse(name), platform), StepState.DONE

    def _loaded(self, address: str, platform: Platform) -> Image:
        """The image of an OCI layout."""
        wanted, parts = layout_image(address), self._parts
        try:
            return load_one(
                Path(wanted.path),
                wanted.digest or wanted.tag,
                store=parts.store,
                snapshots=parts.snapshots,
                platform=platform,
            )
        except InvalidManifest as error:
            error.args = (f"{address}: {error}",)
            raise
