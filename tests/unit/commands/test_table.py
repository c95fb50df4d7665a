from __future__ import annotations

from dockmagic.commands.table import Table

TABLE = Table(("NAME", "SIZE"), (("hello", "4MB"), ("<b>x\x1b[2J", "1kB")), ("first", "second"))


def test_columns_are_aligned_and_terminals_are_not_given_orders() -> None:
    assert str(TABLE).splitlines() == [
        "NAME          SIZE",
        "hello         4MB",
        "<b>x\\x1b[2J   1kB",
    ]


def test_values_belong_to_the_rows() -> None:
    assert len(TABLE) == 2
    assert TABLE[1] == "second"


def test_html_is_escaped() -> None:
    html = TABLE._repr_html_()
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert "\x1b" not in html


def test_a_bare_table_has_its_first_column_only() -> None:
    bare = Table(("ID", "X"), (("1", "a"), ("2", "b")), bare=True)
    assert str(bare) == "1\n2"
    assert "<th" not in bare._repr_html_()


def test_an_empty_table_says_so_in_html() -> None:
    empty = Table(("NAME",), (), caption="no images")
    assert str(empty) == "NAME"
    assert "no images" in empty._repr_html_()
