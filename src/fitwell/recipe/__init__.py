"""Recipes: remedies in order, as one value that applies, saves and prints."""

from fitwell.recipe.changes import Changes
from fitwell.recipe.conflicts import Conflict, ConflictWarning
from fitwell.recipe.range_test import RangeTest
from fitwell.recipe.recipe import Recipe
from fitwell.recipe.stacked import StackedRecipe
from fitwell.recipe.treated import Treated

__all__ = [
    "Changes",
    "Conflict",
    "ConflictWarning",
    "RangeTest",
    "Recipe",
    "StackedRecipe",
    "Treated",
]
