"""Recipes: remedies in order, as one value that applies, saves and prints."""

from fitwell.recipe.changes import Changes
from fitwell.recipe.conflicts import Conflict, ConflictWarning
from fitwell.recipe.recipe import Recipe
from fitwell.recipe.treated import Treated

__all__ = ["Changes", "Conflict", "ConflictWarning", "Recipe", "Treated"]
