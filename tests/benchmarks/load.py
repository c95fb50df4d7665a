"""What `%load_ext dockmagic` adds to a shell that is there already.

    python -m tests.benchmarks.load [--rounds 9]

Each time is taken in an interpreter of its own, in which IPython has started before the clock does.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
from typing import Final

_CODE: Final = """
import time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
begin = time.perf_counter()
shell.run_line_magic("load_ext", "dockmagic")
print((time.perf_counter() - begin) * 1000)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    command = [sys.executable, "-c", _CODE]
    times = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(rounds)]
    print(f"%load_ext dockmagic: {statistics.median(times):.0f} ms ({min(times):.0f}–{max(times):.0f}, {rounds} times)")


if __name__ == "__main__":
    main()
