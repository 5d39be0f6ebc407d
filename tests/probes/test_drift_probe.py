"""Drift of batch statistics, against the definition in plain Python."""

import math
import statistics

import pytest
import torch
from torch import nn

from fitwell.probes import StatisticsDrift
from fitwell.records import Quantity
from fitwell.testing import ProbeContract


class TestStatisticsDrift(ProbeContract):
    def make(self, model, optimizer):
        return StatisticsDrift(model)


def read(probe):
    return [(r.module, r.call, float(r.value), r.count) for r in probe.readings()]


def drift(columns, means, variances, eps) -> float:
    """Root mean square over the channels, by the definition."""
    squares = [
        (statistics.fmean(column) - mean) ** 2 / (variance + eps)
        for column, mean, variance in zip(columns, means, variances, strict=True)
    ]
    return math.sqrt(statistics.fmean(squares))


def test_the_drift_is_taken_before_the_running_statistics_take_the_batch_in():
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(3)
    norm.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    norm.running_var.copy_(torch.tensor([1.0, 4.0, 0.25]))
    x = torch.randn(7, 3)
    expected = drift(x.T.tolist(), [1, 2, 3], [1, 4, 0.25], norm.eps)
    with StatisticsDrift(nn.Sequential(norm)) as probe:
        probe._model(x)
        assert read(probe) == [("0", 0, pytest.approx(expected, rel=1e-5), 7)]
        assert {r.quantity for r in probe.readings()} == {Quantity.STATISTICS_DRIFT}


def test_values_of_a_channel_are_those_of_all_pixels():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(2))
    x = torch.randn(3, 2, 4, 5) + 1
    columns = x.movedim(1, 0).flatten(1).tolist()
    with StatisticsDrift(model) as probe:
        model(x)
        expected = drift(columns, [0, 0], [1, 1], 1e-5)
        assert read(probe) == [("0", 0, pytest.approx(expected, rel=1e-4), 60)]


def test_calls_within_a_forward_pass_are_counted_from_zero_each_time():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(2)

        def forward(self, x):
            return self.norm(self.norm(x))

    model = Loop()
    with StatisticsDrift(model) as probe:
        model(torch.randn(4, 2)), model(torch.randn(4, 2))
        assert [call for _, call, _, _ in read(probe)] == [0, 1, 0, 1]


def test_evaluation_and_norms_without_running_statistics_are_not_read():
    model = nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False), nn.LayerNorm(2))
    with StatisticsDrift(model) as probe:
        model(torch.randn(4, 2))
        assert not read(probe)
    model = nn.Sequential(nn.BatchNorm1d(2))
    with StatisticsDrift(model) as probe:
        model.eval()(torch.randn(4, 2))
        assert not read(probe)
