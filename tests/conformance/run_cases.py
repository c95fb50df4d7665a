"""The whole table of cases."""

from __future__ import annotations

from typing import Final

from tests.conformance import (
    run_cases_files,
    run_cases_isolation,
    run_cases_life,
    run_cases_limits,
    run_cases_process,
)
from tests.conformance.run_case import Scene

SCENES: Final[tuple[Scene, ...]] = (
    *run_cases_process.SCENES,
    *run_cases_limits.SCENES,
    *run_cases_isolation.SCENES,
    *run_cases_files.SCENES,
    *run_cases_life.SCENES,
)
