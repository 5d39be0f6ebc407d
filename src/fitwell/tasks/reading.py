"""CSV and Parquet files as typed polars frames: encoding, delimiter and types are found out."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol

import charset_normalizer
import polars as pl

from fitwell.errors import TaskError
from fitwell.tasks.cells import MISSING
from fitwell.words import say

DELIMITERS = (",", ";", "\t", "|")

PARQUET = frozenset({".parquet", ".pq"})
TEXT = frozenset({".csv", ".tsv", ".tab", ".txt"})

_SAMPLE_CHARACTERS = 200_000
_CHUNK = 50_000
_ENCODINGS = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254"),
    *("shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "utf_16_le", "utf_16_be"),
]
"""Encodings that tables are really saved in; guesses among all of them go astray."""

_WESTERN = "cp1252"
"""Taken where nothing tells the encodings apart; latin-1 is a part of it."""

_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_UNKNOWN = MISSING | {"none", "-", "?", "."}
_MOSTLY = 0.95
"""Share of the cells that must read as numbers for the others to count as missing."""


class _Reader(Protocol):
    """What is needed of a ``csv.reader``."""

    @property
    def line_num(self) -> int: ...


def read_table(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """Read a CSV or Parquet file.

    Args:
        path: The file; the suffix tells which of the two.

    Returns:
        The table, and what was found out about the file, as sentences.

    Raises:
        TaskError: If it cannot be read, is no table, or has duplicate column names.
    """
    if not path.is_file():
        raise TaskError(f"No file at {path}: check the path.")
    try:
        if path.suffix.lower() in PARQUET:
            frame, notes = typed(pl.read_parquet(path))
            return frame, tuple(notes)
        return _read_text(path)
    except OSError as error:
        raise TaskError(f"Cannot read {path}: {error.strerror or error}.") from error
    except pl.exceptions.PolarsError as error:
        first = str(error).strip().splitlines()[0]
        raise TaskError(f"Cannot read {path} as a table: {first}.") from error


def _read_text(path: Path) -> tuple[pl.DataFrame, tuple[str, ...]]:
    text, encoding = _decoded(path)
    delimiter = _delimiter(text, path)
    names, strings = _strings(text, delimiter, path)
    notes = [] if encoding in ("utf-8", "ascii") else [_on_encoding(encoding)]
    if delimiter != ",":
        shown = say("tabs") if delimiter == "\t" else repr(delimiter)
        notes.append(say("Columns are separated by {sign}.", sign=shown))
    frame, odd = typed(strings.rename(dict(zip(strings.columns, names, strict=True))), delimiter)
    return frame, (*notes, *odd)


def _on_encoding(encoding: str) -> str:
    if encoding.startswith("utf"):
        return say("The file was read as {encoding}.", encoding=encoding)
    return say(
        "The file was read as {encoding}: save it as UTF-8 if letters look wrong.",
        encoding=encoding,
    )


def _strings(text: str, delimiter: str, path: Path) -> tuple[list[str], pl.DataFrame]:
    """Column names and cells; a chunk at a time, for lists of strings take much memory."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    records = (row for row in reader if any(cell.strip() for cell in row))
    chunks: list[pl.DataFrame] = []
    try:
        names = _column_names([name.strip() for name in next(records)], path)
        schema = {f"column {place}": pl.String for place in range(len(names))}
        while rows := list(islice(_checked(records, reader, names, path, delimiter), _CHUNK)):
            chunks.append(pl.DataFrame(rows, schema=schema, orient="row"))
    except csv.Error as error:
        line = reader.line_num
        raise TaskError(f"Cannot read {path} as CSV, near line {line}: {error}.") from error
    if not chunks:
        raise TaskError(f"{path.name} has a line of column names, but no rows below it.")
    return names, pl.concat(chunks)


def _checked(
    records: Iterator[list[str]], reader: _Reader, names: list[str], path: Path, delimiter: str
) -> Iterator[list[str]]:
    """Hand on the records that have a field for every name; refuse the first that has not."""
    for row in records:
        if len(row) != len(names):
            raise TaskError(
                f"Every line of {path.name} must have {len(names)} fields as the first one, but "
                f"line {reader.line_num} has {len(row)}: quote fields that contain {delimiter!r}."
            )
        yield row


def _decoded(path: Path) -> tuple[str, str]:
    """The file's text and its encoding."""
    content = path.read_bytes()
    if not content.strip():
        raise TaskError(f"{path.name} is empty: give a table with a line of column names.")
    for mark, encoding in _BOMS.items():
        if content.startswith(mark):
            return _strictly(content, encoding, path), encoding.removesuffix("-sig")
    if b"\0" not in content:
        try:
            return content.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            pass
    guess = _guessed(content)
    if guess is None:
        raise TaskError(f"{path.name} is no text file: give a CSV or Parquet table.")
    return _strictly(content, guess, path), guess


def _guessed(content: bytes) -> str | None:
    """The likeliest encoding of text that is not UTF-8; the Western one if several are alike."""
    guesses = list(
        charset_normalizer.from_bytes(content[:_SAMPLE_CHARACTERS], cp_isolation=_ENCODINGS)
    )
    if not guesses:
        return _WESTERN if _printable(content) else None
    best = min(guesses, key=lambda g: (g.chaos, -g.coherence, g.encoding != _WESTERN))
    return best.encoding


def _printable(content: bytes) -> bool:
    """Say whether there are no control characters but blanks and ends of lines."""
    return not re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", content)


def _strictly(content: bytes, encoding: str, path: Path) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise TaskError(
            f"{path.name} looks like {encoding}, but byte {error.start} is not: "
            "save the file as UTF-8."
        ) from error


def _delimiter(text: str, path: Path) -> str:
    """The delimiter that divides nearly all records into equally many fields, two or more."""
    sample = text[:_SAMPLE_CHARACTERS]
    if len(sample) < len(text):
        sample = sample[: sample.rfind("\n") + 1] or sample
    best: tuple[float, int, str] | None = None
    for delimiter in DELIMITERS:
        fields = _field_counts(sample, delimiter)
        if not fields:
            continue
        count, records = Counter(fields).most_common(1)[0]
        share = records / len(fields)
        if count >= 2 and share >= 0.9 and (best is None or (share, count) > best[:2]):
            best = (share, count, delimiter)
    if best is None:
        raise TaskError(
            f"{path.name} is no CSV table: its lines do not divide into equally many fields by "
            "comma, semicolon, tab or '|'."
        )
    return best[2]


def _field_counts(sample: str, delimiter: str) -> list[int]:
    """Fields of every record of the sample that is not empty."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        return [len(row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error:
        return []


def _column_names(names: Sequence[str], path: Path) -> list[str]:
    named = [name or f"unnamed_{place}" for place, name in enumerate(names, start=1)]
    repeated = [name for name, count in Counter(named).items() if count > 1]
    if repeated:
        raise TaskError(
            f"{path.name} has duplicate column names: {', '.join(map(repr, repeated))}. "
            "Rename them so that each is unique."
        )
    return named


def typed(frame: pl.DataFrame, delimiter: str = ",") -> tuple[pl.DataFrame, list[str]]:
    """Turn columns of strings into numbers where nearly all their cells are numbers.

    Args:
        frame: The table; columns of other types stay as they are.
        delimiter: What separated the columns: a comma is a decimal comma only beside another.

    Returns:
        The table, with null where a cell is missing, and what was assumed, as sentences.
    """
    notes: list[str] = []
    columns = [
        _typed(column, delimiter, notes) if column.dtype == pl.String else column
        for column in frame
    ]
    return pl.DataFrame(columns), notes


def _typed(cells: pl.Series, delimiter: str, notes: list[str]) -> pl.Series:
    """Strings as whole numbers, numbers or strings, null where missing."""
    name = cells.name
    cells = cells.str.strip_chars()
    lower = cells.str.to_lowercase()
    strings = cells.set(lower.is_in(list(MISSING)), None)
    known = cells.set(lower.is_in(list(_UNKNOWN)), None)
    total = len(known) - known.null_count()
    if total == 0:
        return strings
    whole = known.cast(pl.Int64, strict=False)
    if whole.null_count() == known.null_count() and not known.str.contains(r"^0\d").any():
        return whole
    spelled = _decimal_points(known, delimiter)
    numbers = spelled.cast(pl.Float64, strict=False)
    read = len(numbers) - numbers.null_count()
    if read < total * _MOSTLY or known.str.contains(r"^0\d+$").all():
        return strings
    if read == total:
        return numbers
    odd = (
        known.filter(numbers.is_null() & known.is_not_null()).unique(maintain_order=True).to_list()
    )
    some = ", ".join(map(repr, odd[:3])) + (" …" if len(odd) > 3 else "")
    notes.append(
        say(
            "Column {column} holds numbers; {cells} cells that are none ({some}) count as missing.",
            column=repr(name),
            cells=total - read,
            some=some,
        )
    )
    return numbers


def _decimal_points(cells: pl.Series, delimiter: str) -> pl.Series:
    """Numbers with decimal commas or thousands separators spelled with a point alone."""
    marked = cells.filter(cells.str.contains(",", literal=True))
    if len(marked) == 0:
        return cells
    if (
        delimiter != ","
        and marked.str.contains(r"^[+-]?\d{1,3}(\.?\d{3})*,\d+$|^[+-]?\d+,\d+$").all()
    ):
        return cells.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True)
    if marked.str.contains(r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$").all():
        return cells.str.replace_all(",", "", literal=True)
    return cells
