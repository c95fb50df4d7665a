"""The rules of the house, as far as a program can tell: layers, sizes, docstrings, and what the launcher loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
MODULES = sorted(ROOT.glob("dockmagic/**/*.py"))
MOST_LINES = 400
MOST_FUNCTION_LINES = 40
LEAN = ("dockmagic.runtime.launcher", "dockmagic.runtime.monitor", "dockmagic.runtime.init")

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def trees() -> Iterator[tuple[str, ast.Module]]:
    """The name of every module's file, and what it says."""
    for path in MODULES:
        yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, Definition]]:
    """Functions and classes at the top level and inside classes, with their dotted names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from definitions(child, f"{prefix}{child.name}.")


def public(name: str) -> bool:
    """Whether no part of the dotted name starts with an underscore."""
    return not any(part.startswith("_") for part in name.split("."))


def test_modules_fit_into_the_head() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in MODULES}
    assert {path: lines for path, lines in sizes.items() if lines > MOST_LINES} == {}


def test_functions_do_one_thing() -> None:
    sizes = {
        f"{path} {name}": (node.end_lineno or 0) - node.lineno + 1
        for path, tree in trees()
        for name, node in definitions(tree)
        if not isinstance(node, ast.ClassDef)
    }
    assert {name: lines for name, lines in sizes.items() if lines > MOST_FUNCTION_LINES} == {}


def test_what_is_public_says_what_it_is() -> None:
    silent = [path for path, tree in trees() if not ast.get_docstring(tree)]
    for path, tree in trees():
        found = definitions(tree)
        silent += [f"{path} {name}" for name, node in found if public(name) and not ast.get_docstring(node)]
    assert silent == []


def test_packages_import_nothing() -> None:
    """A package's import is implied by that of any module in it, which import-linter doesn't follow."""
    packages = {path: tree for path, tree in trees() if Path(path).name == "__init__.py" and path.count("/") > 1}
    bodies = {path: [type(node) for node in tree.body] for path, tree in packages.items()}
    assert {path: body for path, body in bodies.items() if body != [ast.Expr]} == {}


@pytest.mark.parametrize("name", LEAN)
def test_the_launcher_loads_no_package_of_others(name: str) -> None:
    """In an interpreter as the launcher's: isolated, without site-packages."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {name}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True)
    loaded = {module.partition(".")[0] for module in done.stdout.split()}
    assert loaded - set(sys.stdlib_module_names) == {"dockmagic", "__main__"}
    assert not loaded & {"sqlite3", "logging", "asyncio", "email", "http"}


def test_imports_point_downwards() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_nothing_names_the_place_where_it_lies() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name]
    assert [str(path) for path in files if path.is_file() and str(ROOT).encode() in path.read_bytes()] == []
