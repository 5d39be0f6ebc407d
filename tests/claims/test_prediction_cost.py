"""What a prediction costs."""

import torch
from torch import nn

from fitwell.claims.prediction_cost import operations, times


def test_an_operation_a_layer_is_counted_and_views_are_not() -> None:
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Identity()).eval()
    assert operations(model, torch.randn(2, 4)) == 3


def test_a_network_of_many_layers_takes_longer_than_one_of_few() -> None:
    few = nn.Sequential(nn.Linear(4, 4))
    many = nn.Sequential(*(nn.Linear(4, 4) for _ in range(50)))
    taken = times({"few": few, "many": many}, torch.randn(2, 4))
    assert taken["many"] > 2 * taken["few"] > 0
