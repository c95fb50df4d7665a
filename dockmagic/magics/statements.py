"""Magics that stand alone on a line show their result wherever they stand in a cell, not only on its last line.

IPython displays the value of a cell's last expression. A transformer of the cell's syntax tree (an entry of
`shell.ast_transformers`) wraps the other statements that are nothing but a magic of ours; assignments stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from IPython.display import display

_SHOW = "__import__('dockmagic.magics.statements', fromlist=['show']).show"
_RUNNERS = ("run_line_magic", "run_cell_magic")


def show(result: object) -> None:
    """Display a magic's result, as IPython does for the last line's."""
    if result is not None:
        display(result)  # type: ignore[no-untyped-call]


class ShowAlone(ast.NodeTransformer):
    """Turns the statement `get_ipython().run_line_magic("container_ps", …)` into `show(…)` of it."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = frozenset(names)

    def visit_Module(self, node: ast.Module) -> ast.Module:
        """Wrap all but the last statement of the cell, whose value IPython displays itself."""
        last = node.body[-1:]
        node.body = [
            statement if [statement] == last and isinstance(statement, ast.Expr) else self.visit(statement)
            for statement in node.body
        ]
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        """Wrap a statement that is a magic of ours."""
        if self._is_ours(node.value):
            shower = ast.parse(_SHOW, mode="eval").body
            node.value = ast.copy_location(ast.Call(shower, [node.value], []), node.value)
        return node

    def _is_ours(self, value: ast.expr) -> bool:
        """Whether the expression is a call of IPython's that runs one of the magics."""
        match value:
            case ast.Call(
                func=ast.Attribute(value=ast.Call(func=ast.Name(id="get_ipython")), attr=attribute),
                args=[ast.Constant(value=name), *_],
            ):
                return attribute in _RUNNERS and name in self._names
            case _:
                return False
