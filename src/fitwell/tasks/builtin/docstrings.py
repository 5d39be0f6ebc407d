"""Real text that every machine has: the docstrings of Python's standard library."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fitwell.errors import TaskError
from fitwell.tasks.cells import words_of
from fitwell.tasks.data import Data, Split
from fitwell.tasks.models import mlp
from fitwell.tasks.preparing import SHARES
from fitwell.tasks.splits import split_rows
from fitwell.tasks.task import Task
from fitwell.words import say

PACKAGES = (
    "asyncio", "collections", "concurrent", "ctypes", "distutils", "email", "http", "idlelib",
    "importlib", "json", "logging", "multiprocessing", "tkinter", "unittest", "urllib", "wsgiref",
    "xml",
)  # fmt: skip
"""Packages of the standard library that may become classes; those not there are passed over."""

CLASSES = 8
MAX_WORDS = 1000
MIN_WORDS = 4


def docstrings() -> Task:
    """Tell by its words which package a docstring is from; a few words a text, many weights.

    Sources are parsed, never imported. Which docstrings there are depends on the version of
    Python; the data are the same on every machine with the same one.

    References:
        The network has the shape of the classic Keras example on Reuters newswires.
    """
    texts, labels, names = _labelled()
    sides = split_rows(labels, shares=SHARES, seed=0)
    vocabulary = _vocabulary([texts[row] for row in sides[0]])
    x, y = _hot(texts, vocabulary), torch.from_numpy(labels)
    train, validation, test = (Split(x[rows], y[rows]) for rows in map(torch.from_numpy, sides))
    note = say(
        "{texts} different docstrings of at least {least} words; an input for each of the {words} "
        "words in most training texts, 1 where the text has it.",
        texts=len(texts),
        least=MIN_WORDS,
        words=len(vocabulary),
    )
    return Task(
        "docstrings",
        partial(mlp, (len(vocabulary), 256, 128, len(names))),
        Data(train, validation, test, "bag", names, (note,)),
        "cross_entropy",
        "accuracy",
        batch_size=64,
        epochs=20,
        description=say("Docstrings of Python's standard library, classified by package."),
    )


def _labelled() -> tuple[list[frozenset[str]], NDArray[np.int64], tuple[str, ...]]:
    """Words of every docstring, its class, and the names of the classes."""
    library = Path(sysconfig.get_path("stdlib"))
    found: dict[frozenset[str], str] = {}
    for package in PACKAGES:
        for text in _docstrings_of(library / package):
            words = frozenset(words_of(text))
            if len(words) >= MIN_WORDS:
                found.setdefault(words, package)
    counts = Counter(found.values())
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:CLASSES]
    names = tuple(sorted(name for name, _ in ranked))
    if len(names) < 2:
        raise TaskError(
            f"The sources of Python's standard library are not under {library}: "
            "this task needs them; choose another task."
        )
    numbers = {name: number for number, name in enumerate(names)}
    kept = [(words, numbers[package]) for words, package in found.items() if package in numbers]
    return [words for words, _ in kept], np.array([label for _, label in kept]), names


def _docstrings_of(package: Path) -> Iterator[str]:
    """Docstrings of the modules, classes and functions below a package, in order of files."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in sorted(package.rglob("*.py")):
        if {"test", "tests", "idle_test"} & set(path.parts):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a library's source warns of is not ours to tell
            tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            text = ast.get_docstring(node) if isinstance(node, kinds) else None
            if text:
                yield text


def _vocabulary(texts: Sequence[frozenset[str]]) -> list[str]:
    """The words in most of the texts, in order of the alphabet."""
    counts = Counter(word for text in texts for word in text)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return sorted(word for word, _ in ranked[:MAX_WORDS])


def _hot(texts: Sequence[frozenset[str]], vocabulary: Sequence[str]) -> Tensor:
    """(texts, words), 1 where a text has a word."""
    places = {word: place for place, word in enumerate(vocabulary)}
    hot = torch.zeros(len(texts), len(vocabulary))
    for row, text in enumerate(texts):
        hot[row, [places[word] for word in text if word in places]] = 1.0
    return hot
