"""Losses and metrics of many runs at once are those of each run alone."""

from __future__ import annotations

import pickle
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from fitwell.tasks import Task
from fitwell.tasks.losses import LOSSES, loss_of
from fitwell.tasks.metrics import METRICS, Metric
from fitwell.tasks.stacked import StackedLoss, stacked_metric
from fitwell.tasks.table import Choices, from_file

CLASS_METRICS = [name for name, metric in METRICS.items() if metric.of_classes]


@st.composite
def scored(draw, targets):
    """Outputs (runs, rows, ...) and targets that fit a loss."""
    runs, rows = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    if targets == "class":
        classes, space = draw(st.integers(2, 5)), draw(st.sampled_from([(), (2,), (2, 3)]))
        outputs = torch.randn(runs, rows, classes, *space, generator=generator)
        y = torch.randint(classes, (runs, rows, *space), generator=generator)
        if draw(st.booleans()):
            y[:, -1] = -100
        return outputs, y
    shape = draw(st.sampled_from([(runs, rows), (runs, rows, 1), (runs, rows, 3)]))
    outputs, y = torch.randn(2, *shape, generator=generator)
    return outputs, (y > 0).float() if targets == "binary" else y


def alone(function, outputs, targets):
    pairs = zip(outputs, targets, strict=True)
    return torch.stack([torch.as_tensor(function(o, t)) for o, t in pairs])


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_named_loss_of_a_stack_is_that_of_each_run(name, data):
    outputs, targets = data.draw(scored(LOSSES[name].targets))
    outputs = outputs.log_softmax(2) if name == "nll" else outputs
    found = StackedLoss(LOSSES[name])(outputs, targets)
    expected = alone(LOSSES[name], outputs, targets)
    torch.testing.assert_close(found, expected, equal_nan=True)


@pytest.mark.parametrize("name", METRICS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_a_named_metric_of_a_stack_is_that_of_each_run(name, data):
    kinds = ["class", "binary"] if name in CLASS_METRICS else ["number"]
    outputs, targets = data.draw(st.sampled_from(kinds).flatmap(scored))
    found = stacked_metric(METRICS[name], outputs, targets)
    assert found.shape == (len(outputs),)
    assert found.dtype == torch.float64
    pairs = zip(outputs, targets, strict=True)
    expected = torch.tensor([METRICS[name](o, t) for o, t in pairs], dtype=torch.float64)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_runs_without_a_class_are_scored_by_the_classes_that_they_have():
    outputs = F.one_hot(torch.tensor([[0, 0, 1], [2, 2, 2]]), 3).float()
    targets = torch.tensor([[0, 1, 1], [2, 2, 0]])
    balanced = stacked_metric(METRICS["balanced_accuracy"], outputs, targets)
    assert balanced.tolist() == [0.75, 0.5]
    f1 = stacked_metric(METRICS["macro_f1"], outputs, targets)
    assert f1.tolist() == pytest.approx([(2 / 3 + 2 / 3) / 2, (0.8 + 0) / 2])


OWN = {
    "weighted classes": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5])),
    "smoothed": nn.CrossEntropyLoss(label_smoothing=0.2),
    "sum": nn.CrossEntropyLoss(reduction="sum"),
    "plain module": nn.CrossEntropyLoss(),
    "own": lambda outputs, targets: (outputs.logsumexp(1) - outputs[:, 0]).mean(),
    "asks for a number": lambda outputs, targets: outputs.mean() * outputs.max().item(),
    "boolean mask": lambda outputs, targets: outputs[targets == 1].mean(),
}


@pytest.mark.parametrize("name", OWN)
def test_a_loss_of_ones_own_is_that_of_each_run_with_its_gradient(name):
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(3, 8, 3, generator=generator, requires_grad=True)
    targets = torch.randint(3, (3, 8), generator=generator)
    loss = loss_of(OWN[name])
    expected = alone(loss, outputs, targets)
    for _ in range(2):
        stacked = StackedLoss(loss)
        found = [stacked(outputs, targets) for _ in range(2)]
        assert torch.equal(*found)
        torch.testing.assert_close(found[0], expected)
        (gradient,) = torch.autograd.grad(found[1].sum(), outputs)
        (right,) = torch.autograd.grad(expected.sum(), outputs, retain_graph=True)
        torch.testing.assert_close(gradient, right)


def test_a_loss_that_does_other_things_when_mapped_is_called_once_a_run():
    def by_its_kind(outputs, targets):
        return outputs.mean() + float(torch._C._functorch.is_batchedtensor(outputs))

    found = StackedLoss(loss_of(by_its_kind))(torch.ones(2, 3), torch.ones(2, 3))
    assert found.tolist() == [1.0, 1.0]


def test_a_loss_that_torch_maps_only_slowly_is_called_once_a_run_without_a_warning():
    def median_loss(outputs, targets):
        return (outputs - targets).abs().nanquantile(0.5)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = StackedLoss(loss_of(median_loss))(torch.eye(3), torch.zeros(3, 3))
    assert found.tolist() == [0.0, 0.0, 0.0]


def test_not_a_number_in_one_run_stays_in_that_run():
    outputs, targets = torch.zeros(3, 4, 2), torch.zeros(3, 4, dtype=torch.long)
    outputs[1, 2, 0] = torch.nan
    for name in LOSSES:
        y = targets if LOSSES[name].targets == "class" else torch.zeros(3, 4, 2)
        assert StackedLoss(LOSSES[name])(outputs, y).isnan().tolist() == [False, True, False]


def test_a_metric_of_ones_own_is_called_once_a_run():
    seen = []

    def hits(outputs, targets):
        seen.append(outputs.shape)
        return (outputs.numpy().argmax(1) == targets.numpy()).sum()

    found = stacked_metric(
        Metric("hits", hits, True, None),
        torch.eye(3).expand(2, 3, 3),
        torch.tensor([[0, 1, 2], [0, 0, 0]]),
    )
    assert found.tolist() == [3.0, 1.0]
    assert seen == [(3, 3)] * 2


def table(loss="mse", metric="mae"):
    rows = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    return Task("t", lambda: nn.Linear(3, 1), (rows, rows.sum(1)), loss, metric, epochs=1)


def test_a_task_scores_stacks_as_it_scores_single_runs():
    task = table()
    y = task.data.validation.y
    outputs = torch.randn(3, len(y), 1, generator=torch.Generator().manual_seed(1))
    shared = y.expand(3, *y.shape)
    torch.testing.assert_close(
        task.stacked_loss(outputs, shared), alone(task.loss_fn, outputs, shared)
    )
    scores = task.stacked_metric(outputs, shared)
    assert scores.tolist() == pytest.approx([task.metric_fn(o, y) for o in outputs], rel=1e-12)


def test_scores_of_a_table_are_in_its_own_unit(tmp_path):
    rows = [f"{i},{'red' if i % 3 else 'blue'},{1000 + 7 * i}" for i in range(60)]
    file = tmp_path / "prices.csv"
    file.write_text("\n".join(["size,colour,price", *rows]))
    task = from_file(file, "price", Choices())
    y = task.data.validation.y
    outputs = torch.stack([y, y + 1.0])
    scores = task.stacked_metric(outputs, y.expand(2, *y.shape))
    assert scores.tolist() == pytest.approx([task.metric_fn(o, y) for o in outputs], abs=1e-9)


def test_a_task_that_has_scored_stacks_still_travels():
    task = table(loss=nn.MSELoss())
    task.stacked_loss(torch.zeros(2, 4, 1), torch.zeros(2, 4, 1))
    vars(task)["make_model"] = nn.Identity
    assert pickle.loads(pickle.dumps(task)).loss_name == "mse"
