"""The page's template: every text escaped, one style sheet and one script, both named by their digest."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["render"]


def render(context: Mapping[str, Any]) -> str:
    """Return the page.

    The content security policy allows what is in the page alone: pictures in `data:` addresses, the style
    sheet and the script by their SHA-256, no attribute with style or script, and no address to load from.

    Args:
        context: What the template names; a name that is missing is an error.
    """
    style, script = _part("page.css"), _part("page.js")
    policy = (
        "default-src 'none'; img-src data:; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template("page.html")
    # Both parts are the package's own files, put in as they are: escaped they would be others.
    return page.render(context, policy=policy, style=Markup(style), script=Markup(script))  # noqa: S704


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("vitscope.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _part(name: str) -> str:
    return (files("vitscope.report") / "templates" / name).read_text(encoding="utf-8").strip()


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
