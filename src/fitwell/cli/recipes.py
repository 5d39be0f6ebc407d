"""Recipes on the command line: JSON files or text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fitwell.errors import BadInput

if TYPE_CHECKING:
    from fitwell.recipe import Recipe


def arms_in(given: Sequence[str]) -> dict[str, Recipe]:
    """Read ``NAME=RECIPE`` arguments; a recipe is a JSON file or text.

    Raises:
        BadInput: If one has no name, a name comes twice, or a recipe cannot be read.
    """
    arms: dict[str, Recipe] = {}
    for text in given:
        name, sign, recipe = text.partition("=")
        if not sign or "(" in name or not name.strip() or not recipe.strip():
            raise BadInput(
                f'Expected NAME=RECIPE after -r, got {text!r}: write -r "mild=dropout(0.2)".'
            )
        if name.strip() in arms:
            raise BadInput(f"Two recipes are called {name.strip()!r}: give each a name of its own.")
        arms[name.strip()] = recipe_in(recipe.strip(), name.strip())
    return arms


def recipe_in(text: str, name: str = "") -> Recipe:
    """Read a recipe: a JSON file, or text as ``dropout(0.5)+l2(1e-3)``.

    Args:
        text: Path or text.
        name: What it is called in messages.

    Raises:
        BadInput: If it cannot be read, or names no remedy.
    """
    from fitwell.recipe import Recipe

    path = Path(text)
    try:
        if path.suffix != ".json":
            return Recipe.from_text(text)
        return Recipe.from_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise BadInput(f"Cannot read the recipe {text}: {why}.") from error
    except BadInput as error:
        if text in str(error):  # it says itself which one it is
            raise
        raise BadInput(f"In the recipe {name or text!r}: {error}") from error
