"""Every module here adds the cases in its ``CASES``; nothing else is needed."""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib import import_module

from benchmarks.faults.case import Case


@lru_cache
def all_cases() -> tuple[Case, ...]:
    """Return every case, in the order of module names.

    Raises:
        ValueError: If two cases have the same name.
    """
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    cases = [case for name in names for case in import_module(f"{__name__}.{name}").CASES]
    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            raise ValueError(f"Expected every case to have its own name; twice: {case.name}.")
        seen.add(case.name)
    return tuple(cases)
