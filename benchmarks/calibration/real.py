"""Real studies of an arm that changes nothing: the initial weights are drawn once more.

The network begins with He's normal weights, and the arm draws them anew by the same rule. So both
arms are equal by construction, and differ by the luck of the weights, as two runs under different
seeds do. Everything else is ``fitwell.compare`` as users call it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from sklearn import datasets
from torch import nn

from fitwell import Recipe, Task, compare
from fitwell.records import Verdict
from fitwell.remedies import Initialization
from fitwell.studies import InProcess
from fitwell.tasks import Split

SAME = "weights drawn anew"
ROWS = 400
"""Most rows of a study."""
WIDTHS = (8, 24)
SOURCES = ("breast_cancer", "digits", "wine", "diabetes")


@cache
def source(name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs and targets of a data set, scaled."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x = (x - x.mean(0)) / (x.std(0) + 1e-9)
    if name == "diabetes":
        return torch.tensor(x).float(), torch.tensor((y - y.mean()) / y.std()).float()[:, None]
    return torch.tensor(x).float(), torch.tensor(y).long()


def factory(sizes: Sequence[int], number: int) -> Callable[[], nn.Module]:
    """Return what makes the networks of a study, each study with random numbers of its own."""

    def make() -> nn.Module:
        torch.rand(1 + number)
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        for layer in layers[::2]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        return nn.Sequential(*layers[:-1])

    return make


def task_of(number: int) -> Task:
    """Return the task of a study: data, split, and width change from study to study."""
    name = SOURCES[number % len(SOURCES)]
    x, y = source(name)
    chosen = np.random.default_rng(number).permutation(len(x))[:ROWS]
    rows = Split(x[chosen], y[chosen])
    numbers = name == "diabetes"
    width = WIDTHS[number // len(SOURCES) % len(WIDTHS)]
    outputs = 1 if numbers else int(y.max()) + 1
    return Task(
        f"{name}-{number}",
        factory((x.shape[1], width, width, outputs), number),
        (rows.x, rows.y),
        "mse" if numbers else "cross_entropy",
        "mse" if numbers else "accuracy",
        epochs=6,
        seed=number,
    )


def studied(number: int, seeds: int = 8) -> Verdict:
    """Return what a study says of the arm that changes nothing."""
    arms = {SAME: Recipe(Initialization("he_normal"))}
    study = compare(task_of(number), arms, seeds=seeds, executor=InProcess())
    return study.verdicts[SAME]


def real(studies: int) -> Iterator[str]:
    """Tell what real studies say of an arm that changes nothing."""
    yield (
        "| data | studies | helps | hurts | 95 % interval holds 0 | on other rows "
        "| sign-flip p ≤ 0.05 | p of the loss ≤ 0.05 | runs all alike |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    told: dict[str, list[Verdict]] = {name: [] for name in SOURCES}
    for number in range(studies):
        told[SOURCES[number % len(SOURCES)]].append(studied(number))
    for name, verdicts in told.items():
        if verdicts:
            yield _row(name, verdicts)
    yield _row("all", [said for verdicts in told.values() for said in verdicts])


def _row(name: str, verdicts: Sequence[Verdict]) -> str:
    wide = [said.other_rows for said in verdicts if said.other_rows is not None]
    counts = (
        sum(said.outcome == "helps" for said in verdicts),
        sum(said.outcome == "hurts" for said in verdicts),
        sum(said.effect.low <= 0 <= said.effect.high for said in verdicts),
        sum(effect.low <= 0 <= effect.high for effect in wide),
        sum(said.sign_flip_p is not None and said.sign_flip_p <= 0.05 for said in verdicts),
        sum(said.loss_effect.p <= 0.05 for said in verdicts),
        sum(said.effect.p == 1.0 and said.effect.mean == 0 for said in verdicts),
    )
    return f"| {name} | {len(verdicts)} | " + " | ".join(map(str, counts)) + " |"
