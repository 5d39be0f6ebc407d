"""Measured claims kept as JSON, for as long as nothing that they depend on has changed."""

from __future__ import annotations

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, final

from fitwell.claims.claim import Claim
from fitwell.errors import OutputError
from fitwell.records import (
    Arrows,
    Bars,
    Heat,
    Histogram,
    Images,
    Lines,
    Measured,
    Picture,
    Units,
)
from fitwell.words import Said

LIBRARIES = ("torch", "numpy", "scikit-learn", "mlxtend", "kornia")
"""Libraries whose version can change what is measured."""
UNTOUCHED = ("report", "cli", "locale")
"""Parts of fitwell that show results and change none."""
PICTURES: Mapping[str, type[Picture]] = {
    kind.__name__: kind for kind in (Lines, Bars, Histogram, Heat, Units, Arrows, Images)
}


@final
@dataclass(frozen=True)
class Kept:
    """Measured numbers of claims in a folder, one file a claim.

    The folder is that of the page made of them, so that whoever removes the page removes them too.

    Args:
        folder: Where they lie; made at the first writing.
    """

    folder: Path

    def read(self, claim: Claim) -> tuple[Measured, float] | None:
        """Return what was measured, and in how many seconds; None if it has to be measured.

        A file that cannot be read, or that was measured with other code, seeds or libraries, is
        as good as none.
        """
        try:
            data = json.loads(self._file(claim).read_text(encoding="utf-8"))
            if data["digest"] != digest(claim):
                return None
            return _measured(data["measured"]), float(data["seconds"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, claim: Claim, measured: Measured, seconds: float) -> None:
        """Keep what was measured, whole or not at all.

        Raises:
            OutputError: If it cannot be written.
        """
        data = {"digest": digest(claim), "seconds": seconds, "measured": _plain(measured)}
        path = self._file(claim)
        part = path.with_suffix(".part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(data), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            raise OutputError(f"Cannot write {path}: {error.strerror}.") from error

    def _file(self, claim: Claim) -> Path:
        return self.folder / f"{claim.name}.json"


def digest(claim: Claim) -> str:
    """Return a digest of what the numbers of a claim depend on: code, seeds and libraries."""
    mine = [path for path in _claim_files() if _number(path) == claim.number]
    facts = [_of_files(mine), _shared_code(), claim.seeds, [version(name) for name in LIBRARIES]]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions that the numbers of claims depend on."""
    found = {"fitwell": version("fitwell"), "python": platform.python_version()}
    return {**found, **{name: version(name) for name in LIBRARIES}}


@cache
def _shared_code() -> str:
    """Digest of every file of fitwell that any claim may rest on."""
    root = _root()
    apart = {*_claim_files(), *(p for name in UNTOUCHED for p in (root / name).rglob("*"))}
    found = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return _of_files(path for path in sorted(found) if path not in apart)


def _of_files(paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        found.update(f"{path.relative_to(_root()).as_posix()} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()


def _root() -> Path:
    return Path(__file__).parents[1]


def _claim_files() -> list[Path]:
    return sorted((_root() / "claims").glob("c[0-9][0-9]_*.py"))


def _number(path: Path) -> int:
    return int(path.name[1:3])


def _plain(value: Any) -> Any:
    """Return a value as JSON holds it; sentences keep their template, mappings their order."""
    if isinstance(value, Said):
        return {"said": [str(value), list(value.template), _plain(value.values)]}
    if isinstance(value, Mapping):
        return {"mapping": [[_plain(key), _plain(inner)] for key, inner in value.items()]}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if type(value) in PICTURES.values() or isinstance(value, Measured):
        content = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__, "content": content}
    if isinstance(value, float) and not math.isfinite(value):
        return {"number": str(value)}
    if not isinstance(value, (str, int, float)):
        raise TypeError(f"what a claim measures holds numbers and texts, not {type(value)}")
    return value


def _alive(value: Any) -> Any:
    """Return what :func:`_plain` was given."""
    if isinstance(value, list):
        return tuple(_alive(inner) for inner in value)
    if not isinstance(value, dict):
        return value
    if "said" in value:
        text, template, values = value["said"]
        return Said(text, tuple(template), _alive(values))
    if "mapping" in value:
        return {_alive(key): _alive(inner) for key, inner in value["mapping"]}
    if "number" in value:
        return float(value["number"])
    content = {name: _alive(inner) for name, inner in value["content"].items()}
    if value["kind"] == Measured.__name__:
        return Measured(**content)
    return PICTURES[value["kind"]](**content)


def _measured(data: Any) -> Measured:
    found = _alive(data)
    if not isinstance(found, Measured):
        raise TypeError("no measured claim")
    return found
