"""The search for the recipe that helps most, guided by the diagnosis, or blind."""

from fitwell.studies.search.prior import names_remedies
from fitwell.studies.search.race import SEARCH_SEEDS, Race
from fitwell.studies.search.searching import Found, search

__all__ = ["SEARCH_SEEDS", "Found", "Race", "names_remedies", "search"]
