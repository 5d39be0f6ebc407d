"""A hash of all the code that a case runs: it is recorded anew when that changes."""

from __future__ import annotations

import hashlib
import inspect
import types
from collections.abc import Iterator
from typing import Any

from benchmarks.faults.case import Case

_OURS = "benchmarks.faults"


def source_hash(case: Case) -> str:
    """Return a hash of the program, of what it calls within the corpus, and of its settings."""
    text = "\n".join(sorted(_sources(case.program.run, set())))
    return hashlib.sha256(f"{text}\n{sorted(case.settings.items())!r}".encode()).hexdigest()[:16]


def _sources(thing: Any, seen: set[int]) -> Iterator[str]:
    """The source of a function or class of the corpus, and of those that it names."""
    if id(thing) in seen or not getattr(thing, "__module__", "").startswith(_OURS):
        return
    seen.add(id(thing))
    thing = inspect.unwrap(thing)
    yield inspect.getsource(thing)
    module = inspect.getmodule(thing)
    members = vars(thing).values() if inspect.isclass(thing) else (thing,)
    for code in (m.__code__ for m in members if isinstance(m, types.FunctionType)):
        for name in _names(code):
            named = getattr(module, name, None)
            if callable(named):
                yield from _sources(named, seen)
            elif isinstance(named, int | float | str | tuple):
                yield f"{name} = {named!r}"


def _names(code: types.CodeType) -> Iterator[str]:
    """Names that a function refers to, within its inner functions too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)
