"""Results as JSON, with what there is to know of the machine."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path


def write(path: Path, **content: object) -> None:
    """Write results to a file, and print its name."""
    host = {"kernel": platform.release(), "processors": os.cpu_count(), "python": platform.python_version()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"host": host, "load": os.getloadavg(), **content}, indent=1))
    print(f"\n{path}")
