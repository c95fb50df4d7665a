from __future__ import annotations

from dockmagic.events import PullProgress
from dockmagic.widgets.pull import PULL_WORDS
from dockmagic.widgets.transfer import Layers


class Clock:
    """Seconds that pass when told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def digest(number: int) -> str:
    return f"sha256:{number:064d}"


def test_speed_and_what_is_left() -> None:
    clock = Clock()
    layers = Layers(PULL_WORDS, clock)
    layers.take(PullProgress(digest(1), "waiting", 0, 3_000_000))
    layers.take(PullProgress(digest(2), "exists", 9_000_000, 9_000_000))
    assert layers.so_far() == "1 of 2 layers"
    layers.take(PullProgress(digest(1), "downloading", 0, 3_000_000))
    assert layers.so_far() == "1 of 2 layers · 0 B of 3 MB"
    clock.now_s = 2.0
    layers.take(PullProgress(digest(1), "downloading", 1_000_000, 3_000_000))
    assert layers.so_far() == "1 of 2 layers · 1 MB of 3 MB · 500 kB/s · 4.0 s left"
    clock.now_s = 20.0
    assert layers.so_far() == "1 of 2 layers · 1 MB of 3 MB"  # it has stalled
    layers.take(PullProgress(digest(1), "extracting", 1, 3_000_000))
    assert layers.so_far() == "1 of 2 layers"
    assert layers.in_all() == " · 3 MB in 20 s"


def test_a_layer_that_begins_again_has_no_negative_speed() -> None:
    clock = Clock()
    layers = Layers(PULL_WORDS, clock)
    layers.take(PullProgress(digest(1), "downloading", 2_000, 3_000))
    layers.so_far()
    clock.now_s = 1.0
    layers.take(PullProgress(digest(1), "downloading", 500, 3_000))
    assert layers.so_far() == "0 of 1 layer · 500 B of 3 kB"


def test_lines_are_no_wider_than_the_terminal() -> None:
    layers = Layers(PULL_WORDS)
    layers.take(PullProgress(digest(1), "downloading", 1_500_000, 3_000_000))
    layers.take(PullProgress(digest(2), "retrying", 0, 3_000_000, "in 0.2 s: it broke off \x1b[2J" + "x" * 300))
    for columns in (20, 50, 80, 200):
        assert all(len(line) < columns and line.isprintable() for line in layers.lines(columns))
    assert layers.lines(50)[0] == "000000000000: Downloading [=====>    ]  1.5MB/3MB"
    assert layers.lines(40)[0] == "000000000000: Downloading 1.5MB/3MB"
    assert layers.lines(70)[1].startswith("000000000000: Retrying in 0.2 s: it broke off \\x1b[2J")
    assert "it broke off" in layers.html([])


def test_of_more_layers_than_lines_the_busy_ones_are_shown() -> None:
    layers = Layers(PULL_WORDS)
    for number in range(30):
        layers.take(PullProgress(digest(number), "exists" if number < 20 else "waiting", 0, 1_000))
    layers.take(PullProgress(digest(25), "extracting", 500, 1_000))
    assert len(layers.lines(80, 30)) == 30
    busy, others = layers.lines(80, 6)
    assert "Extracting" in busy
    assert others == "… and 20 already exists, 9 waiting"
    assert len(layers.lines(80, 1)) == 1
