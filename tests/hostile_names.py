"""Names that classes, images and models may have, and that something somewhere takes for more than a name."""

from __future__ import annotations

__all__ = ["HOSTILE_NAMES"]

HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "</style><img src=x onerror=alert(3)>",
    '" onmouseover="alert(4)" x="',
    "' autofocus onfocus='alert(5)",
    "<!--<script>alert(6)//-->",
    "]]><svg onload=alert(7)>",
    "javascript:alert(8)",
    "{{ 7 * 7 }}{% raw %}",
    "${alert(9)}`",
    "&lt;b&gt;&amp;&#x41;",
    r"$\frac{1}{0",
    r"\input{/etc/passwd}%_#^~&",
    "[/red][bold]rich",
    "=HYPERLINK(0)",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\x1b[31mred\x1b[0m\x07",
    "two\r\nlines\tand\x00zero",
    "../../etc/passwd",
    "عربي \u202eelppa\u202c",
    "👩‍🔬 naïve 日本語",
    "\u2028line\u2029separators\ufeff",
    "\udcff\udc80not unicode",
    " ",
    "n" * 255,
)
"""Twenty-five: HTML, scripts, templates, LaTeX, markup, formulas, right-to-left, long, blank and more."""
