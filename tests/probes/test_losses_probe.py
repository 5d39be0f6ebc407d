import pytest
import torch
from torch import nn

from fitwell.probes import Losses
from fitwell.records import Quantity

MODEL = nn.Linear(1, 1, bias=False)
nn.init.ones_(MODEL.weight)


def loss_of(loss_fn, rows, *, training):
    with torch.set_grad_enabled(training):
        return loss_fn(MODEL(torch.tensor(rows).reshape(-1, 1)), torch.zeros(len(rows), 1))


def found(probe):
    return [(r.phase, float(r.value), r.count) for r in probe.readings()]


def test_a_loss_with_gradients_is_training_and_without_is_evaluation():
    loss_fn = nn.MSELoss()
    with Losses(loss_fn, MODEL) as probe:
        loss_of(loss_fn, [2.0, 2.0], training=True)
        loss_of(loss_fn, [3.0], training=False)
        assert found(probe) == [("train", 4.0, 2), ("validation", 9.0, 1)]
        assert found(probe) == []


def test_an_unbroken_stretch_is_one_evaluation_weighted_by_rows():
    loss_fn = nn.MSELoss()
    with Losses(loss_fn, MODEL) as probe:
        loss_of(loss_fn, [1.0, 1.0, 1.0], training=False)
        loss_of(loss_fn, [3.0], training=False)
        loss_of(loss_fn, [1.0], training=True)
        loss_of(loss_fn, [2.0], training=False)
        assert found(probe) == [
            ("validation", pytest.approx(3.0), 4),
            ("train", 1.0, 1),
            ("validation", 4.0, 1),
        ]


def test_a_network_in_evaluation_mode_is_evaluated_even_with_gradients():
    loss_fn = nn.MSELoss()
    MODEL.eval()
    with Losses(loss_fn, MODEL) as probe:
        loss_of(loss_fn, [2.0], training=True)
        assert found(probe) == [("validation", 4.0, 1)]
    MODEL.train()


def test_a_loss_in_evaluation_mode_that_is_trained_on_belongs_to_training():
    loss_fn = nn.MSELoss()
    MODEL.eval()
    with Losses(loss_fn, MODEL) as probe:
        loss_of(loss_fn, [3.0], training=True)
        loss_of(loss_fn, [2.0], training=True).backward()
        assert found(probe) == [("validation", 9.0, 1), ("train", 4.0, 1)]
    MODEL.train()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_every_reduction_is_read_as_a_mean_over_rows(reduction):
    loss_fn = nn.MSELoss(reduction=reduction)
    with Losses(loss_fn, MODEL) as probe:
        loss_of(loss_fn, [1.0, 3.0], training=True)
        assert found(probe) == [("train", 5.0, 2)]


def test_a_loss_that_is_changed_in_place_afterwards_is_kept_as_it_was():
    loss_fn = nn.MSELoss()
    with Losses(loss_fn, MODEL) as probe:
        loss = loss_of(loss_fn, [2.0], training=True)
        loss /= 8
        assert found(probe) == [("train", 4.0, 1)]


def test_no_hook_outlives_it():
    loss_fn = nn.MSELoss()
    with Losses(loss_fn, MODEL):
        assert len(loss_fn._forward_hooks) == 1
    assert not loss_fn._forward_hooks
    loss_of(loss_fn, [2.0], training=True)


def test_the_quantity_is_the_loss():
    loss_fn = nn.MSELoss()
    with Losses(loss_fn, MODEL) as probe:
        loss_of(loss_fn, [2.0], training=True)
        assert [r.quantity for r in probe.readings()] == [Quantity.LOSS]
