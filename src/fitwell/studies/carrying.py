"""Files that runs leave behind, brought back from a machine that has another disk."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard, final

from fitwell.studies.job import Batch, Results
from fitwell.studies.performing import Performance


@final
@dataclass(frozen=True)
class Carried:
    """What became of a batch, with the files that its runs have left."""

    results: Results
    files: Mapping[str, bytes]


@final
@dataclass(frozen=True)
class Carrying:
    """Does a batch in a folder that is gone afterwards, and returns what was in it."""

    perform: Performance

    def __call__(self, batch: Batch) -> Carried:
        """Return the results and the files."""
        with tempfile.TemporaryDirectory(prefix="fitwell-") as folder:
            results = replace(self.perform, weights=folder)(batch)
            files = {file.name: file.read_bytes() for file in Path(folder).iterdir()}
        return Carried(results, files)


def leaves_files(function: Callable[..., Any]) -> TypeGuard[Performance]:
    """Say whether what does a batch leaves files behind."""
    return isinstance(function, Performance) and function.weights is not None


def sent(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what does the same on another machine; files come back with the results."""
    if leaves_files(function):
        return Carrying(replace(function, weights=None))
    return function


def received(function: Callable[..., Any], outcome: Any) -> Any:
    """Return the results that another machine sent, its files put where they belong."""
    if not isinstance(outcome, Carried):
        return outcome
    put_files(function, outcome.files)
    return outcome.results


def put_files(function: Callable[..., Any], files: Mapping[str, bytes]) -> None:
    """Write files into the folder that a function would have left them in, each whole or not."""
    if not leaves_files(function):
        return
    folder = Path(str(function.weights))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        target = folder / Path(name).name
        temporary = target.with_suffix(".part")
        temporary.write_bytes(content)
        temporary.replace(target)
