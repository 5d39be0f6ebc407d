"""The claims of the craft as experiments, one file each: ``c10_dropout`` is claim 10.

Every file defines ``CLAIM``; putting another file here is all that a new claim needs.
"""

import importlib
import pkgutil
from functools import cache

from fitwell.claims.claim import Claim, Close, Experiment, Larger, Smaller
from fitwell.words import speaking

__all__ = ["Claim", "Close", "Experiment", "Larger", "Smaller", "claims"]


@cache
def claims() -> tuple[Claim, ...]:
    """Return all claims in the order of their numbers."""
    names = [found.name for found in pkgutil.iter_modules(__path__)]
    files = [name for name in names if name[0] == "c" and name[1:3].isdigit()]
    with speaking("en"):  # the names of arms are keys: the same in every process
        found = [importlib.import_module(f"{__name__}.{name}").CLAIM for name in files]
    return tuple(sorted(found, key=lambda claim: claim.number))
