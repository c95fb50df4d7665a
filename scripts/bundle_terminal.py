"""Fetch xterm.js from npm and put it into the package, as one module that needs nothing from elsewhere.

    python scripts/bundle_terminal.py

Writes xterm.js, xterm.css and xterm.LICENSE below dockmagic/widgets/static. It needs npm and its registry; what it
makes is kept with the sources, so that nobody else does.
"""

from __future__ import annotations

import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final

PACKAGES: Final = {"@xterm/xterm": "6.0.0", "@xterm/addon-fit": "0.11.0"}
TARGET: Final = Path(__file__).parents[1] / "dockmagic" / "widgets" / "static"
_EXPORT = re.compile(r"export\{(\w+) as (\w+)\};\s*(//# sourceMappingURL=\S+)?\s*$")


def fetched(name: str, directory: Path) -> Path:
    """The package's files."""
    spec = f"{name}@{PACKAGES[name]}"
    command = ["npm", "pack", "--silent", "--pack-destination", str(directory), spec]
    archive = directory / subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    target = directory / archive.name.removesuffix(".tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return target / "package"


def enclosed(module: str) -> str:
    """A module of one export as a constant with that name; its own names stay inside."""
    found = _EXPORT.search(module)
    if found is None:
        raise SystemExit("the module doesn't end with one export")
    inner, outer = found[1], found[2]
    return f"const {outer} = (() => {{\n{module[: found.start()]}\nreturn {inner};\n}})();\n"


def main() -> None:
    """Fetch, join and write."""
    with tempfile.TemporaryDirectory() as temporary:
        xterm, fit = (fetched(name, Path(temporary)) for name in PACKAGES)
        versions = ", ".join(f"{name} {version}" for name, version in PACKAGES.items())
        parts = [f"// {versions}: MIT, see xterm.LICENSE. Made by scripts/bundle_terminal.py.\n"]
        parts += [enclosed((xterm / "lib/xterm.mjs").read_text()), enclosed((fit / "lib/addon-fit.mjs").read_text())]
        TARGET.mkdir(exist_ok=True)
        (TARGET / "xterm.js").write_text("".join(parts))
        (TARGET / "xterm.css").write_text((xterm / "css/xterm.css").read_text())
        licenses = [
            f"{name}\n\n{(path / 'LICENSE').read_text()}" for name, path in zip(PACKAGES, (xterm, fit), strict=True)
        ]
        (TARGET / "xterm.LICENSE").write_text("\n".join(licenses))


if __name__ == "__main__":
    main()
