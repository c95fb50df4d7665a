"""`python -m dockmagic`: the terminal's door."""

from __future__ import annotations

import sys

from dockmagic.cli import main

if __name__ == "__main__":
    sys.exit(main())
