from __future__ import annotations

import subprocess
import sys

SCRIPT = """
from pathlib import Path
from dockmagic.linux import process as p
area = p.argument_area()
before = Path("/proc/self/cmdline").read_bytes()
assert b"a-word" in before, before
p.overwrite(area, b"plain")
after = Path("/proc/self/cmdline").read_bytes()
assert after.rstrip(b"\\0") == b"plain", after
assert not Path("/proc/self/environ").read_bytes().strip(b"\\0")
p.overwrite((0, 0), b"nothing")
"""


def test_arguments_and_environment_are_overwritten() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT, "a-word"], env={"TOKEN": "secret", "PYTHONPATH": "."}, check=True)
