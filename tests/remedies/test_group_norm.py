"""Group normalisation does what its formula says, in groups that hold enough."""

import numpy as np
import pytest
import torch
from torch import nn

from fitwell.errors import BadInput, NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import GroupNorm
from fitwell.testing import RemedyContract

IMAGES = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))


def treated(model, remedy=None, x=IMAGES):
    return Recipe(remedy or GroupNorm()).apply(model, example_input=x).model


def cnn(channels):
    return nn.Sequential(
        *(nn.Conv2d(2, channels, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        nn.Linear(channels, 3),
    )


class TestGroupNorm(RemedyContract):
    def make_remedy(self):
        return GroupNorm(4, eps=1e-3)

    def make_untreatable(self):
        return nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(2, 5, 6)


class TestGroupNormForBatchNorm(RemedyContract):
    def make_remedy(self):
        return GroupNorm(2)

    def make_model(self):
        return nn.Sequential(
            *(nn.Conv2d(2, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
            *(nn.Flatten(), nn.Linear(6, 3)),
        )

    def make_batch(self):
        return IMAGES, torch.arange(4) % 3

    def make_untreatable(self):
        return nn.Sequential(nn.LSTM(4, 3)), torch.randn(2, 5, 4)


def test_every_group_of_a_sample_has_mean_0_and_deviation_1():
    net = cnn(6)
    new = treated(net, GroupNorm(3))
    z = net[0](IMAGES).detach().numpy().reshape(4, 3, -1)
    expected = (z - z.mean(2, keepdims=True)) / np.sqrt(z.var(2, keepdims=True) + 1e-5)
    assert np.allclose(new[0](IMAGES).detach().numpy().reshape(4, 3, -1), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "groups", "expected"),
    [(64, 32, 32), (48, 32, 24), (16, 32, 8), (12, 8, 6), (7, 4, 1), (1, 32, 1), (2, 32, 1)],
)
def test_the_largest_number_of_groups_that_fits_is_taken(channels, groups, expected):
    assert treated(cnn(channels), GroupNorm(groups))[0].norm.num_groups == expected


def test_layers_that_do_not_divide_may_be_left_without():
    with pytest.raises(NotApplicable, match="0 has 12 channels, which make no 8 groups"):
        treated(cnn(12), GroupNorm(8, uneven="skip"))
    assert treated(cnn(16), GroupNorm(8, uneven="skip"))[0].norm.num_groups == 8


@pytest.mark.parametrize(("units", "expected"), [(8, 1), (32, 2), (64, 4), (1024, 32)])
def test_units_of_plain_rows_come_in_groups_of_at_least_16(units, expected):
    net = nn.Sequential(nn.Linear(6, units), nn.ReLU(), nn.Linear(units, 2))
    assert treated(net, x=torch.randn(4, 6))[0].norm.num_groups == expected


def test_maps_of_a_single_pixel_come_in_groups_of_at_least_16():
    net = nn.Sequential(
        *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 64, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    )
    assert treated(net)[1].norm.num_groups == 4


def test_sequences_are_refused_with_the_reason():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    with pytest.raises(NotApplicable, match="would take the steps for channels"):
        treated(net, x=torch.randn(2, 5, 6))


def test_arguments_out_of_range_are_refused():
    with pytest.raises(ThresholdError, match="groups"):
        GroupNorm(0)
    with pytest.raises(BadInput, match=r"groups must be a whole number, got 2\.5"):
        GroupNorm(2.5)
    with pytest.raises(BadInput, match="uneven must be 'fit' or 'skip', got 'round'"):
        GroupNorm(uneven="round")
