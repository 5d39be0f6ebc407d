"""Real text that every machine has: docstrings of Python's standard library, as numbers."""

from __future__ import annotations

import ast
import re
import sysconfig
import warnings
from collections import Counter
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

PACKAGES = (
    *("asyncio", "collections", "concurrent", "ctypes", "email", "http", "importlib", "json"),
    *("logging", "multiprocessing", "tkinter", "unittest", "urllib", "wsgiref", "xml"),
)
"""Where the docstrings are read; a package that is not there is passed over."""

LETTERS = "\n abcdefghijklmnopqrstuvwxyz0123456789.,:;()'\"-_=*/<>[]"
"""What text is made of: number 0 stands for everything else, the others count from 1."""

LABELS = 6
"""The packages with the most docstrings are the classes."""


@cache
def docstrings() -> tuple[tuple[str, str], ...]:
    """Return (package, docstring) of every module, class and function, in order of files."""
    library = Path(sysconfig.get_path("stdlib"))
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found: dict[str, str] = {}
    for package in PACKAGES:
        for path in sorted((library / package).rglob("*.py")):
            if {"test", "tests"} & set(path.parts):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(path.read_bytes())
            for node in ast.walk(tree):
                text = ast.get_docstring(node) if isinstance(node, kinds) else None
                if text:
                    found.setdefault(text.lower(), package)
    return tuple((package, text) for text, package in found.items())


@cache
def characters() -> Tensor:
    """Return all the text as one row of character numbers, docstrings shuffled."""
    place = {letter: number for number, letter in enumerate(LETTERS, 1)}
    texts = [text for _, text in docstrings()]
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(0)).tolist()
    whole = "\n\n".join(texts[i] for i in order)
    return torch.tensor([place.get(letter, 0) for letter in whole])


def passages(length: int, count: int) -> tuple[Tensor, Tensor]:
    """Return (passages, length) of characters, and the ones that follow them."""
    text = characters()[: count * (length + 1)].reshape(count, length + 1)
    return text[:, :-1].contiguous(), text[:, 1:].contiguous()


@cache
def _labelled() -> tuple[tuple[tuple[str, ...], ...], tuple[int, ...]]:
    """Words of every docstring of at least five, and the number of its package."""
    counts = Counter(package for package, _ in docstrings())
    names = sorted(name for name, _ in counts.most_common(LABELS))
    rows = [
        (tuple(re.findall(r"[a-z]+", text)), names.index(package))
        for package, text in docstrings()
        if package in names
    ]
    kept = [(words, label) for words, label in rows if len(words) >= 5]
    return tuple(words for words, _ in kept), tuple(label for _, label in kept)


@cache
def vocabulary(size: int) -> dict[str, int]:
    """Return the most frequent words and their numbers; 0 is padding, 1 all other words."""
    counts = Counter(word for words in _labelled()[0] for word in set(words))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[: size - 2]
    return {word: number for number, (word, _) in enumerate(ranked, 2)}


@cache
def sentences(length: int, size: int) -> tuple[Tensor, Tensor]:
    """Return (docstrings, length) of word numbers, padded with 0, and their packages."""
    places = vocabulary(size)
    texts, labels = _labelled()
    rows = torch.zeros(len(texts), length, dtype=torch.long)
    for row, words in enumerate(texts):
        numbers = [places.get(word, 1) for word in words[:length]]
        rows[row, : len(numbers)] = torch.tensor(numbers)
    return _shuffled(rows, torch.tensor(labels))


@cache
def usage(files: int, size: int) -> tuple[Tensor, Tensor]:
    """Return pairs (text, word), and the logarithm of how often the text uses the word.

    A table of who uses what, as recommendations are made from; texts are the longest docstrings.
    """
    places = vocabulary(size)
    texts = sorted(_labelled()[0], key=len, reverse=True)[:files]
    pairs, counts = [], []
    for row, words in enumerate(texts):
        for word, count in Counter(words).items():
            if word in places:
                pairs.append((row, places[word]))
                counts.append(float(count))
    return _shuffled(torch.tensor(pairs), torch.tensor(counts).log1p())


def _shuffled(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    return x[order], y[order]
