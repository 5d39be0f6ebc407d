"""Losses and metrics against scikit-learn, scipy and pencil and paper."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn import metrics as oracle
from torch import nn
from torch.nn import functional as F

from fitwell.errors import TaskError
from fitwell.tasks.losses import LOSSES, loss_of
from fitwell.tasks.metrics import METRICS, metric_of

LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [0.0, 1.0, 0.5], [5.0, 0.0, 0.0]])
CLASSES = torch.tensor([0, 1, 2, 1])
PREDICTED = [0, 1, 1, 0]


def test_accuracy_is_the_share_of_hits() -> None:
    assert METRICS["accuracy"](LOGITS, CLASSES) == 0.5


def test_balanced_accuracy_is_that_of_scikit_learn() -> None:
    expected = oracle.balanced_accuracy_score(CLASSES.tolist(), PREDICTED)
    assert METRICS["balanced_accuracy"](LOGITS, CLASSES) == pytest.approx(expected)


def test_macro_f1_is_that_of_scikit_learn() -> None:
    expected = oracle.f1_score(CLASSES.tolist(), PREDICTED, average="macro")
    assert METRICS["macro_f1"](LOGITS, CLASSES) == pytest.approx(expected)


def test_zeros_and_ones_are_scored_by_the_sign_of_the_logit() -> None:
    outputs, targets = torch.tensor([[1.0], [-1.0], [2.0]]), torch.tensor([[1.0], [0.0], [0.0]])
    assert METRICS["accuracy"](outputs, targets) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("r2", oracle.r2_score),
        ("mae", oracle.mean_absolute_error),
        ("mse", oracle.mean_squared_error),
        ("rmse", oracle.root_mean_squared_error),
    ],
)
def test_metrics_of_numbers_are_those_of_scikit_learn(name: str, function) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs, targets = torch.randn(2, 20, 1, generator=generator)
    assert METRICS[name](outputs, targets) == pytest.approx(function(targets, outputs), rel=1e-5)


def test_outputs_without_a_column_do_not_broadcast_against_targets_with_one() -> None:
    numbers = torch.arange(4.0)
    assert float(LOSSES["mse"](numbers, numbers[:, None])) == 0.0
    assert METRICS["r2"](numbers, numbers[:, None]) == 1.0


def test_chance_of_cross_entropy_is_the_entropy_of_the_classes() -> None:
    entropy = 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
    chance = LOSSES["cross_entropy"].of_chance(torch.tensor([0, 0, 0, 1]))
    assert chance == pytest.approx(entropy, rel=1e-5)


@pytest.mark.parametrize("name", ["bce_with_logits", "mse", "mae", "huber"])
def test_no_constant_beats_the_loss_of_chance(name: str) -> None:
    targets = torch.tensor([[0.0], [0.0], [1.0], [0.0], [1.0]])
    if name != "bce_with_logits":
        targets = torch.tensor([[0.0], [0.5], [1.0], [7.0], [2.0]])
    constants = torch.linspace(-3, 8, 2201)
    losses = [float(LOSSES[name](c.expand(5, 1), targets)) for c in constants]
    assert LOSSES[name].of_chance(targets) == pytest.approx(min(losses), abs=1e-3)


def test_a_loss_module_of_pytorch_is_recognised_with_its_settings() -> None:
    assert loss_of(nn.CrossEntropyLoss()).constant is not None
    smoothed = loss_of(nn.CrossEntropyLoss(label_smoothing=0.1))
    assert (smoothed.name, smoothed.targets, smoothed.constant) == ("cross_entropy", "class", None)
    assert loss_of(F.mse_loss) is LOSSES["mse"]


def test_a_callable_metric_needs_a_direction() -> None:
    with pytest.raises(TaskError, match="needs a direction"):
        metric_of(lambda outputs, targets: 0.0, None)


def test_an_unknown_loss_names_the_nearest() -> None:
    with pytest.raises(TaskError, match="Did you mean 'cross_entropy'"):
        loss_of("crossentropy")


def test_a_loss_class_in_place_of_a_loss_is_refused() -> None:
    with pytest.raises(TaskError, match="a name or a callable"):
        loss_of(nn.MSELoss)


def test_a_direction_that_contradicts_a_named_metric_is_refused() -> None:
    with pytest.raises(TaskError, match="contradicts the metric 'mae'"):
        metric_of("mae", True)
