"""What a step needs of mount points lies below the image, and leaves no trace in what the step makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockmagic.engine import Engine
from dockmagic.image.store import Image

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("busybox")]


def layers(engine: Engine, image: Image) -> list[set[str]]:
    """Everything that is in each layer, lowest first."""
    stack: tuple[Path, ...] = engine.snapshots.lower(image.config.diff_ids)
    return [{str(path.relative_to(layer)) for path in layer.rglob("*")} for layer in reversed(stack)]


def test_steps_leave_no_mount_points(engine: Engine) -> None:
    text = """
        FROM scratch
        COPY --from=busybox /bin /bin
        RUN [ "$(cat /etc/hostname)" ] && [ -d /proc/1 ] && [ -e /dev/null ] && echo > /one
        RUN rm /.dockerenv && mkdir -p /etc && echo > /two
        RUN touch /.dockerenv && echo > /etc/three
        RUN echo > /.dockerenv
    """
    _, *made = layers(engine, engine.build(text))
    assert made == [{"one"}, {"two"}, {"etc", "etc/three"}, {".dockerenv"}]


def test_what_the_image_has_can_be_removed(engine: Engine) -> None:
    text = "FROM busybox\nRUN echo > /.dockerenv && echo > /etc/x\nRUN rm /.dockerenv && rm /etc/x\n"
    *_, before, after = layers(engine, engine.build(text))
    assert {".dockerenv", "etc/x"} <= before
    assert {".dockerenv", "etc/x"} <= after, "marks that they are gone"


def test_the_first_steps_of_a_state_root_may_begin_at_once(engine: Engine) -> None:
    stages = "".join(f"FROM busybox AS s{number}\nRUN echo {number} > /made\n" for number in range(4))
    copies = "".join(f"COPY --from=s{number} /made /{number}\n" for number in range(4))
    image = engine.build(f"{stages}FROM scratch\n{copies}")
    assert layers(engine, image) == [{str(number)} for number in range(4)]
    assert [path.name for path in (engine.root / "stubs").iterdir()] == [".lowest"]
