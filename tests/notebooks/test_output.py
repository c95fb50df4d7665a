"""Long output in a real kernel: what it costs, what stays in the notebook, and what is said about the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.notebooks.kernel import Kernel, kernel

pytestmark = [pytest.mark.root, pytest.mark.notebook]

LINES = 2_000_000
MOST_CPU_S = 0.3  # for 20,000 lines
MOST_BYTES = 2_000_000


def cpu_s(notebook: Kernel) -> float:
    """Processor time of the kernel up to now."""
    return float(notebook.run("import time; time.process_time()").text)


def test_long_output_costs_little_and_keeps_its_end(state_root: Path, tmp_path: Path) -> None:
    with kernel(tmp_path) as notebook:
        notebook.run("%image_bootstrap busybox\n%container_run --rm busybox true")
        before_s = cpu_s(notebook)
        short = notebook.run("%container_run --rm busybox seq 20000")
        assert cpu_s(notebook) - before_s < MOST_CPU_S
        assert short.stream("stdout").splitlines()[-1] == "20000"
        long = notebook.run(f"%container_run --name long busybox seq {LINES}")
        lines = long.stream("stdout").splitlines()
        assert (lines[0], lines[-1]) == ("1", str(LINES))
        (gap,) = long.data("text/plain")
        assert gap.startswith("[… 1,9")
        assert "left out; logs " in gap
        updates = [taken_s for taken_s, kind, _ in long.messages if kind in {"update_display_data", "stream"}]
        assert len(updates) <= 10 + 20 * (updates[-1] - updates[0]), "ten times a second for each of the two"
        assert len(json.dumps([content for _, _, content in long.messages])) < MOST_BYTES
        assert notebook.run("%container_logs -n 1 long").stream("stdout") == f"{LINES}\n"
        notebook.run("%container_rm long")
