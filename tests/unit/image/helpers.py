"""A credential helper that keeps what it is given in a file, for tests."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

_PROGRAM = """#!{python}
import json, pathlib, sys
kept = pathlib.Path({kept!r})
known = json.loads(kept.read_text()) if kept.exists() else {{}}
action, text = sys.argv[1], sys.stdin.read()
def fail(words):
    print(words)
    sys.exit(1)
if action == "get":
    print(json.dumps({{"ServerURL": text, **known[text]}})) if text in known else fail({not_found!r})
elif action == "store":
    given = json.loads(text)
    known[given.pop("ServerURL")] = given
elif action == "erase":
    known.pop(text, None) is None and fail({not_found!r})
elif action == "list":
    print(json.dumps({{server: entry["Username"] for server, entry in known.items()}}))
kept.write_text(json.dumps(known))
"""


def make_helper(directory: Path, name: str = "test", program: str = "") -> Path:
    """Put docker-credential-NAME into a directory, a whole one or this text; the file in which it keeps things."""
    directory.mkdir(exist_ok=True)
    kept = directory / f"{name}.json"
    path = directory / f"docker-credential-{name}"
    not_found = "credentials not found in native keychain"
    path.write_text(program or _PROGRAM.format(python=sys.executable, kept=str(kept), not_found=not_found))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return kept
