"""Inline styles that the pictures share; they follow the notebook's theme, and survive where `<style>` is stripped."""

from __future__ import annotations

MONO = "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace)"
FAINT = "color:var(--jp-ui-font-color2,#5f6368)"
BORDER = "1px solid var(--jp-border-color2,#dadce0)"
BOX = (
    f"border:{BORDER};border-radius:6px;max-width:860px;overflow:hidden;font-size:13px;line-height:1.45;"
    "color:var(--jp-ui-font-color1,#202124);font-family:var(--jp-ui-font-family,system-ui,sans-serif)"
)
NO_MATH = 'class="mathjax_ignore tex2jax_ignore"'  # or `$a; $b` would be typeset as a formula, by MathJax 3 and 2
BAND = "background:var(--jp-layout-color2,#f8f9fa)"
GREEN = "#1e8e3e"  # at least 4:1 on white and on the dark theme's #111, as the others
RED = "#d93a2f"
BLUE = "#3478e5"
AMBER = "#bf6900"
ELLIPSIS = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"
