"""The images that a build starts and copies from: each is looked up, or pulled, once for the whole build."""

from __future__ import annotations

from collections.abc import Callable

from dockmagic.builder.crew import KeyLocks
from dockmagic.dockerfile import instructions as df
from dockmagic.errors import DockerfileError, InvalidReference
from dockmagic.events import StepState
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.reference import Reference


class Bases:
    """Images by the names that the Dockerfile has for them; any thread may ask."""

    def __init__(self, store: ImageStore, pull_base: Callable[[Reference], Image], *, newest: bool) -> None:
        """`newest` asks the registry for images that are here, too."""
        self._store = store
        self._pull_base = pull_base
        self._newest = newest
        self._known: dict[str, tuple[Image, StepState]] = {}
        self._failed: dict[str, Exception] = {}
        self._locks = KeyLocks()

    def get(self, name: str, instruction: df.Instruction) -> tuple[Image, StepState]:
        """The image, and whether it was here already; raises DockerfileError for no name, and what a pull raises."""
        with self._locks.hold(name):
            if name in self._failed:
                raise self._failed[name]
            if name not in self._known:
                try:
                    self._known[name] = self._found(name)
                except InvalidReference as error:
                    raise DockerfileError(str(error), line=instruction.line, end_line=instruction.end_line) from error
                except Exception as error:
                    self._failed[name] = error
                    raise
            return self._known[name]

    def fetch(self, name: str) -> None:
        """Get the image for those who will ask for it; they hear what goes wrong."""
        with self._locks.hold(name):
            try:
                self._known[name] = self._found(name)
            except InvalidReference:
                return
            except Exception as error:
                self._failed[name] = error

    def _found(self, name: str) -> tuple[Image, StepState]:
        here = None if self._newest else self._store.find(name)
        if here is not None:
            return here, StepState.CACHED
        return self._pull_base(Reference.parse(name)), StepState.DONE
