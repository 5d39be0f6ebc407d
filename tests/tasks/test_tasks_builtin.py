"""The built-in tasks: they load, they are what they say, and they are ill in the way they say."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from statistics import fmean

import cloudpickle
import pytest
import torch
from torch import nn

from fitwell.tasks import Task, builtin


@cache
def made(name: str) -> Task:
    return builtin()[name].make()


def train(
    task: Task, model: nn.Module, *, epochs: int | None = None, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """Train in the plainest way; return loss and metric of every side at the end."""
    data = task.data
    generator = torch.Generator().manual_seed(seed)
    optimizer = task.make_optimizer(model.parameters())
    for _ in range(epochs or task.epochs):
        model.train()
        order = torch.randperm(len(data.train), generator=generator)
        for rows in order.split(task.batch_size):
            optimizer.zero_grad()
            task.loss_fn(model(data.train.x[rows]), data.train.y[rows]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        return {
            side: (
                float(task.loss_fn(model(split.x), split.y)),
                task.metric_fn(model(split.x), split.y),
            )
            for side, split in data.splits.items()
        }


def built(make_model: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return make_model()


def first_gradients(task: Task, model: nn.Module) -> dict[str, float]:
    x, y = task.data.train.x[:32], task.data.train.y[:32]
    task.loss_fn(model(x), y).backward()
    return {name: float(p.grad.norm()) for name, p in model.named_parameters()}


@pytest.mark.parametrize("name", builtin())
def test_a_built_in_task_passes_its_check_and_travels(name: str) -> None:
    task = made(name)
    task.check()
    assert cloudpickle.loads(cloudpickle.dumps(task)).data.fingerprint == task.data.fingerprint


@pytest.mark.parametrize("name", builtin())
def test_a_built_in_task_is_described_as_it_is(name: str) -> None:
    described, record = builtin()[name], made(name).record()
    assert record.name == name
    if name != "docstrings":  # depends on the version of Python
        assert record.rows[0] == described.rows
    if record.network.startswith("MLP") and name != "docstrings":
        assert described.model.startswith(record.network)


def test_mnist_small_has_fifty_of_each_digit_and_the_sizes_it_promises() -> None:
    task = made("mnist-small")
    assert task.record().rows == (500, 1000, 3500)
    assert task.data.train.y.bincount().tolist() == [50] * 10
    assert (float(task.data.train.x.min()), float(task.data.train.x.max())) == (0.0, 1.0)


def test_mnist_small_overfits() -> None:
    task = made("mnist-small")
    scores = train(task, built(task.make_model))
    assert scores["training"][1] == 1.0
    assert scores["validation"][1] < 0.93
    assert scores["validation"][0] > 20 * scores["training"][0]


def test_the_gradients_of_digits_deep_vanish_and_it_stays_at_chance() -> None:
    task = made("digits-deep")
    gradients = first_gradients(task, built(task.make_model))
    assert gradients["0.weight"] < 1e-9 * gradients["40.weight"]
    assert train(task, built(task.make_model), epochs=5)["test"][1] < 0.2


@pytest.mark.slow
def test_digits_deep_learns_once_it_is_treated() -> None:
    task = made("digits-deep")

    def treated() -> nn.Module:
        layers: list[nn.Module] = []
        for _ in range(20):
            linear = nn.Linear(64, 64)
            nn.init.kaiming_normal_(linear.weight)
            layers += [linear, nn.BatchNorm1d(64), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(64, 10))

    assert train(task, built(treated))["test"][1] >= 0.9


def test_the_gradients_of_digits_rows_rnn_explode_and_it_stays_at_chance() -> None:
    task = made("digits-rows-rnn")
    assert max(first_gradients(task, built(task.make_model)).values()) > 1e3
    assert train(task, built(task.make_model), epochs=6)["validation"][1] < 0.2


@pytest.mark.slow
def test_digits_rows_rnn_learns_better_once_its_recurrent_weights_are_orthogonal() -> None:
    """Over five seeds: how far a single run gets differs by half the scale, and by machine."""
    task = made("digits-rows-rnn")
    gains, best = [], 0.0
    for seed in range(5):
        plain = built(task.make_model, seed)
        orthogonal = built(task.make_model, seed)
        nn.init.orthogonal_(orthogonal.rnn.weight_hh_l0)
        before, after = (train(task, net, seed=seed)["test"][1] for net in (plain, orthogonal))
        gains.append(after - before)
        best = max(best, after)
    assert min(gains) > 0
    assert fmean(gains) > 0.3
    assert best > 0.6


def test_digits_healthy_learns_the_same_on_both_sides() -> None:
    task = made("digits-healthy")
    scores = train(task, built(task.make_model))
    assert scores["validation"][1] > 0.93
    assert abs(scores["validation"][0] - scores["training"][0]) < 0.05


@pytest.mark.parametrize("name", ["diabetes", "docstrings"])
def test_a_network_far_too_large_learns_its_training_rows_by_heart(name: str) -> None:
    task = made(name)
    scores = train(task, built(task.make_model))
    assert scores["training"][1] > 0.95
    assert scores["validation"][1] < scores["training"][1] - 0.1


def test_docstrings_know_only_words_of_training_texts() -> None:
    data = made("docstrings").data
    assert data.kind == "bag"
    assert bool((data.train.x.sum(0) > 0).all())
    assert set(data.train.x.unique().tolist()) == {0.0, 1.0}
    assert min(data.train.y.bincount().tolist()) > 40
