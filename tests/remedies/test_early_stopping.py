"""Training ends when validation no longer improves, and the best weights come back."""

import pytest
import torch
from torch import nn

from fitwell.errors import ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import EarlyStopping
from fitwell.testing import RemedyContract

NAN = float("nan")


class TestEarlyStopping(RemedyContract):
    def make_remedy(self):
        return EarlyStopping(patience=2, min_delta=0.1)

    def make_stack(self):
        return [EarlyStopping(n, min_delta=d) for n, d in ((1, 9.0), (2, 9.0), (2, 0.0))]


@pytest.mark.parametrize(
    ("losses", "stops"),
    [
        ([], False),
        ([1.0], False),
        ([1.0, 1.0], False),
        ([1.0, 1.0, 1.0], True),
        ([1.0, 1.1, 0.9], False),
        ([1.0, 1.1, 0.9, 0.9, 0.9], True),
        ([1.0, NAN, NAN], True),
        ([NAN, NAN], True),
        ([NAN, 1.0, 0.5], False),
    ],
)
def test_it_stops_after_two_epochs_without_improvement(losses, stops):
    assert EarlyStopping(patience=2).should_stop(losses) is stops


def test_a_smaller_improvement_than_min_delta_does_not_count():
    assert EarlyStopping(2, min_delta=0.1).should_stop([1.0, 0.95, 0.91])
    assert not EarlyStopping(2, min_delta=0.1).should_stop([1.0, 0.95, 0.89])


def test_finish_restores_the_weights_and_buffers_of_the_best_epoch():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    treated = Recipe(EarlyStopping(2)).apply(model, example_input=torch.ones(2, 2))
    stops = []
    for epoch, loss in enumerate([3.0, NAN, 1.0, 2.0, 1.0]):
        with torch.no_grad():
            treated.model[0].weight.fill_(epoch)
            treated.model[1].running_mean.fill_(epoch)
        stops.append(treated.should_stop(val_loss=loss))
    treated.finish()
    assert stops == [False, False, False, False, True]
    assert treated.model[0].weight.unique().tolist() == [2.0]
    assert treated.model[1].running_mean.unique().tolist() == [2.0]
    (said,) = treated.effects()
    assert said == (
        "EarlyStopping saw 5 validation losses, the lowest after epoch 3, and asked to stop"
    )


def test_without_it_training_never_ends_and_the_last_weights_stay():
    treated = Recipe().apply(nn.Sequential(nn.Linear(2, 2)), example_input=torch.ones(2, 2))
    assert not any(treated.should_stop(val_loss=1.0) for _ in range(100))
    treated.finish()


@pytest.mark.parametrize("patience", [0, 2.5, None])
def test_a_patience_out_of_range_is_refused(patience):
    with pytest.raises(ThresholdError, match="patience"):
        EarlyStopping(patience)
