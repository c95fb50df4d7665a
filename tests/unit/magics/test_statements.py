from __future__ import annotations

import ast

from dockmagic.magics.statements import ShowAlone

MAGIC = "get_ipython().run_line_magic('container_ps', '')"


def transformed(source: str) -> str:
    tree = ShowAlone({"container_ps"}).visit(ast.parse(source))
    return ast.unparse(ast.fix_missing_locations(tree))


def test_the_last_line_is_left_to_ipython() -> None:
    assert transformed(MAGIC) == MAGIC


def test_a_magic_before_it_is_shown() -> None:
    first, last = transformed(f"{MAGIC}\n1").splitlines()
    assert first.endswith(f".show({MAGIC})")
    assert last == "1"


def test_a_magic_in_a_loop_is_shown_even_at_the_end() -> None:
    assert ".show(" in transformed(f"for n in range(2):\n    {MAGIC}")


def test_assignments_and_other_magics_are_left_alone() -> None:
    for source in (f"x = {MAGIC}\n1", "get_ipython().run_line_magic('time', '')\n1", "f()\n1", ""):
        assert transformed(source) == source
