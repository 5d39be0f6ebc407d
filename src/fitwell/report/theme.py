"""The look of figures, one for the page and for files: colours of both schemes, named styles."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

LIGHT, DARK = "light", "dark"


def look() -> dict[str, Any]:
    """Return the configuration of every Vega-Lite figure, its colours as ``"var(--ink)"``.

    A page fills in the colours of its reader's scheme (``templates/figures.js``).
    """
    found: dict[str, Any] = _theme()["look"]
    return found


def colours(scheme: str) -> dict[str, str]:
    """Return the colours of a scheme, ``"light"`` or ``"dark"``, and the font, by name."""
    return {"font": _theme()["font"], **_theme()[scheme]}


def painted(part: Any, scheme: str = LIGHT) -> Any:
    """Return a part of a look, or a style sheet, with every ``var(--name)`` filled in."""
    if isinstance(part, str):
        known = colours(scheme)
        return re.sub(r"var\(--([\w-]+)\)", lambda found: known[found[1]], part)
    if isinstance(part, list):
        return [painted(one, scheme) for one in part]
    if isinstance(part, dict):
        return {name: painted(value, scheme) for name, value in part.items()}
    return part


def colour_rules() -> str:
    """Return the colours as custom properties of a page, which follow its reader's scheme."""
    light = _properties(colours(LIGHT))
    dark = _properties(_theme()[DARK])
    return (
        f":root {{\n  color-scheme: light dark;\n{light}}}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{\n{dark}}} }}\n"
        "@media print { :root { color-scheme: light; } }\n"
    )


def template_text(name: str) -> str:
    """Return the text of a file beside the templates."""
    return files("fitwell.report").joinpath("templates", name).read_text(encoding="utf-8")


def _properties(named: dict[str, str]) -> str:
    return "".join(f"  --{name}: {value};\n" for name, value in named.items())


@cache
def _theme() -> dict[str, Any]:
    theme: dict[str, Any] = json.loads(template_text("theme.json"))
    return theme
