"""Neighbours, against a search over all pairs in plain Python."""

import math
import random
from itertools import permutations

import pytest
import torch
from torch import nn

from fitwell.probes import Neighbors
from fitwell.probes.neighbors import disagreement
from fitwell.records import Quantity


def naive(rows, targets) -> float:
    """Nearest rows and random pairs, by the definition; targets are numbers or class names."""
    columns = list(zip(*rows, strict=True))
    means = [sum(c) / len(c) for c in columns]
    sizes = [
        math.sqrt(sum((v - m) ** 2 for v in c) / len(c)) or 1.0
        for c, m in zip(columns, means, strict=True)
    ]

    def distance(i, j):
        return sum(((a - b) / s) ** 2 for a, b, s in zip(rows[i], rows[j], sizes, strict=True))

    def differ(i, j):
        if isinstance(targets[i], int):
            return float(targets[i] != targets[j])
        return (targets[i] - targets[j]) ** 2

    everyone = range(len(rows))
    nearest = [
        min((j for j in everyone if j != i), key=lambda j, i=i: distance(i, j)) for i in everyone
    ]
    near = sum(differ(i, j) for i, j in enumerate(nearest)) / len(rows)
    pairs = [differ(i, j) for i, j in permutations(everyone, 2)]
    return near / (sum(pairs) / len(pairs))


def sample(rows=40):
    random.seed(1)
    return [[random.gauss(0, 1), random.gauss(5, 100)] for _ in range(rows)]


def test_classes_are_compared_as_the_definition_says():
    rows = sample()
    targets = [int(a + b / 100 > 0) + random.randrange(2) for a, b in rows]
    found = disagreement(torch.tensor(rows), torch.tensor(targets))
    assert float(found) == pytest.approx(naive(rows, targets), rel=1e-5)


def test_numbers_are_compared_as_the_definition_says():
    rows = sample()
    targets = [a * b + random.random() for a, b in rows]
    found = disagreement(torch.tensor(rows), torch.tensor(targets)[:, None])
    assert float(found) == pytest.approx(naive(rows, targets), rel=1e-4)


def test_near_rows_agree_where_there_is_a_rule_and_not_where_there_is_none():
    torch.manual_seed(0)
    x = torch.randn(400, 2)
    assert disagreement(x, (x[:, 0] > 0).long()) < 0.25
    assert disagreement(x, torch.randint(0, 2, (400,))) == pytest.approx(1.0, abs=0.2)
    assert disagreement(x, x.sum(1, keepdim=True)) < 0.05


def test_one_class_alone_disagrees_with_nobody():
    assert disagreement(torch.randn(9, 2), torch.zeros(9, dtype=torch.long)) == 0.0


def read(batches, *, epochs=1, loss_fn=None, **kwargs):
    loss_fn = loss_fn or nn.CrossEntropyLoss()
    model = nn.Linear(batches[0][0].shape[-1], 3)
    probe = Neighbors(model, loss_fn, **kwargs)
    with probe:
        for _ in range(epochs):
            for x, y in batches:
                loss_fn(model(x), y)
                assert not tuple(probe.readings())
    assert not model._forward_pre_hooks
    assert not loss_fn._forward_hooks
    return [(r.quantity, float(r.value), r.count) for r in probe.readings()]


def made(rows=20, number=4):
    torch.manual_seed(0)
    return [(torch.randn(rows, 2), torch.randint(0, 3, (rows,))) for _ in range(number)]


def test_later_epochs_repeat_what_is_there_and_are_left_out():
    batches = made()
    x, y = (torch.cat(parts) for parts in zip(*batches, strict=True))
    expected = [(Quantity.NEIGHBOR_DISAGREEMENT, pytest.approx(float(disagreement(x, y))), 80)]
    assert read(batches) == expected
    assert read(batches, epochs=3) == expected


def test_rows_are_capped_and_those_kept_of_a_large_batch_evenly_spaced():
    assert read(made(), most=50)[0][2] == 50
    ((x, y),) = made(rows=1000, number=1)
    (found,) = read([(x, y)], most=100)
    assert found[1:] == (pytest.approx(float(disagreement(x[::10], y[::10]))), 100)


def test_too_few_rows_and_targets_of_another_kind_give_nothing():
    assert not read(made(rows=3))
    torch.manual_seed(0)
    pixels = [(torch.randn(40, 7, 2), torch.randint(0, 7, (40, 3)))]
    assert not read(pixels)


def test_inputs_that_change_afterwards_are_kept_as_they_were():
    (batch,) = made(rows=60, number=1)
    expected = float(disagreement(*batch))
    loss_fn, model = nn.CrossEntropyLoss(), nn.Linear(2, 3)
    probe = Neighbors(model, loss_fn)
    with probe:
        loss_fn(model(batch[0]), batch[1])
        batch[0].zero_(), batch[1].zero_()
    assert [float(r.value) for r in probe.readings()] == [pytest.approx(expected)]


def test_texts_are_near_if_they_hold_the_same_words():
    loss_fn = nn.CrossEntropyLoss()
    model = nn.Sequential(nn.EmbeddingBag(10, 4), nn.Linear(4, 2))
    torch.manual_seed(0)
    classes = torch.arange(40) % 2
    words = torch.randint(0, 5, (40, 12)) + 5 * classes[:, None]
    probe = Neighbors(model, loss_fn)
    with probe:
        loss_fn(model(words), classes)
    assert [float(r.value) for r in probe.readings()] == [0.0]
