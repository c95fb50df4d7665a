"""What a name means when files are looked at as they were: an image, or a step of a build that is remembered.

NAME is tried in this order, and the first that there is counts:

1. the newest build with this tag, ID, image ID, or beginning of an ID; "" or ":" is the newest of all. Its state is
   that of the step that failed, or else of the last one;
2. an image of the store;
3. NAME:STEP, where STEP is all digits: this step of the build that NAME means by rule 1, such as ":3", "hello:3" or
   "hello:latest:3". So "hello:3" is the tag, where there is such a tag;
4. the ID of the image after a step, or the beginning of one.

Where images are compared, an image goes before the build of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass

from dockmagic.builder.history import BuildHistory, BuildRecord, StepRecord
from dockmagic.errors import InvalidReference, NotFound
from dockmagic.events import StepState
from dockmagic.image.store import Image, ImageStore
from dockmagic.oci.image import ImageConfig

_HINT = "write IMAGE, or [BUILD]:STEP; `build-history` shows the builds that are remembered and their steps"


@dataclass(frozen=True, slots=True)
class State:
    """An image as it was after a step, or as it is in the store (`stored`). `name` is what messages call it."""

    name: str
    image: ImageConfig
    step: StepRecord | None = None
    stored: Image | None = None


class States:
    """Finds states by their names."""

    def __init__(self, history: BuildHistory, store: ImageStore) -> None:
        self._history = history
        self._store = store

    def find(self, name: str = "", *, before: bool = False, images_first: bool = False) -> State:
        """The state that a name means (rules above), with `before` the one before the step. Raises NotFound."""
        stored = self._image(name)
        if stored is not None and images_first and not before:
            return State(name, stored.config, stored=stored)
        build = self._history.find("" if name == ":" else name)
        if build is not None:
            return _state(build, _chosen(build), before)
        if stored is not None and not before:
            return State(name, stored.config, stored=stored)
        return self._of_step(name, before)

    def _of_step(self, name: str, before: bool) -> State:
        """The state of NAME:STEP, or of the image after a step."""
        head, number = split(name)
        if number is not None:
            build = self._history.get(head)
            return _state(build, _numbered(build, number), before)
        step = self._history.step_of(name)
        if step is None or step.image is None or before:
            raise NotFound("build or image", name, _HINT)
        return State(f"step {step.number}", step.image, step)

    def _image(self, name: str) -> Image | None:
        """The stored image of this name."""
        try:
            return self._store.find(name) if name else None
        except InvalidReference:
            return None


def split(name: str) -> tuple[str, int | None]:
    """A build's name and the number of a step, None where there is none.

    >>> split(":3"), split("hello:latest:3"), split("hello"), split("sha256:12")
    (('', 3), ('hello:latest', 3), ('hello', None), ('sha256:12', None))
    """
    head, colon, last = name.rpartition(":")
    if colon and last.isascii() and last.isdecimal() and head != "sha256":
        return head, int(last)
    return name, None


def _chosen(build: BuildRecord) -> StepRecord:
    """The step that failed, or the last one. Raises NotFound."""
    failed = [step for step in build.steps if step.state is StepState.FAILED]
    whole = [step for step in build.steps if step.image is not None]
    if not failed and not whole:
        raise NotFound("step", f"of build {build.id}", "it ended before its first step had come to anything")
    return failed[0] if failed else whole[-1]


def _numbered(build: BuildRecord, number: int) -> StepRecord:
    """The step of this number. Raises NotFound."""
    for step in build.steps:
        if step.number == number:
            return step
    numbers = ", ".join(str(step.number) for step in build.steps)
    raise NotFound("step", str(number), f"build {build.id} has the steps {numbers or '(none)'}")


def _state(build: BuildRecord, step: StepRecord, before: bool) -> State:
    """The state after a step, or before it; before it, too, where it failed and left nothing. Raises NotFound."""
    name = f"{build.tags[0] if build.tags else build.id}:{step.number}"
    if step.image is not None and not before:
        return State(name, step.image, step)
    if not before and step.state is not StepState.FAILED:
        raise NotFound("state", f"after step {step.number}", f"{step.text} came to nothing that could be looked at")
    former = [each for each in build.steps if each.stage == step.stage and each.number < step.number and each.image]
    if not former or former[-1].image is None:
        raise NotFound("state", f"before step {step.number}", f"a stage begins with {step.text}")
    return State(f"{name} (before)", former[-1].image, step)
