"""Networks become smaller where their widths are free, and only there."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.errors import NotApplicable, ThresholdError
from fitwell.recipe import Recipe
from fitwell.remedies import Shrink
from fitwell.testing import RemedyContract

X = torch.randn(4, 6)


def treated(model, *args, x=X, **options):
    return Recipe(Shrink(*args, **options)).apply(model, example_input=x).model


class TestShrink(RemedyContract):
    def make_remedy(self):
        return Shrink(0.5, layers=1)

    def make_untreatable(self):
        return nn.Sequential(nn.LSTM(4, 3)), torch.randn(2, 5, 4)


def test_an_mlp_with_norms_keeps_half_its_units():
    net = nn.Sequential(
        *(nn.Linear(6, 10, bias=False), nn.BatchNorm1d(10, eps=1e-3), nn.PReLU(10)),
        *(nn.Dropout(0.2), nn.Linear(10, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 3)),
    )
    new = treated(net)
    assert repr(new[0]) == repr(nn.Linear(6, 5, bias=False))
    assert repr(new[1]) == repr(nn.BatchNorm1d(5, eps=1e-3))
    assert new[2].num_parameters == 5
    assert repr(new[4]) == repr(nn.Linear(5, 4))
    assert new[5].normalized_shape == (4,)
    assert repr(new[7]) == repr(nn.Linear(4, 3))


def test_what_follows_a_flattened_convolution_shrinks_by_the_same_ratio():
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.GroupNorm(4, 8), nn.ReLU()),
        *(nn.Conv2d(8, 6, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.BatchNorm1d(6 * 4), nn.Linear(6 * 4, 5), nn.ReLU(), nn.Linear(5, 2)),
    )
    new = treated(net, x=torch.randn(2, 3, 8, 8))
    assert (new[0].in_channels, new[0].out_channels, new[0].stride) == (3, 4, (2, 2))
    assert (new[1].num_groups, new[1].num_channels) == (4, 4)
    assert (new[3].in_channels, new[3].out_channels, new[3].padding) == (4, 3, "same")
    assert new[7].num_features == 12
    assert (new[8].in_features, new[8].out_features) == (12, 2)
    assert (new[10].in_features, new[10].out_features) == (2, 2)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.enter, self.out = nn.Linear(6, 8), nn.Linear(8, 2)
        self.a, self.b = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x):
        x = self.enter(x)
        return self.out(x + self.b(F.relu(self.a(x))))


def test_residual_widths_are_left_and_the_inner_one_shrinks():
    new = treated(Residual())
    assert (new.enter.out_features, new.a.in_features, new.b.out_features) == (8, 8, 8)
    assert (new.a.out_features, new.b.in_features) == (8, 8)


def test_tied_weights_and_shared_layers_are_left():
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 2))
    net[2].weight = net[0].weight
    with pytest.raises(NotApplicable, match="shared"):
        treated(net)
    layer = nn.Linear(6, 6)
    with pytest.raises(NotApplicable):
        treated(nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(6, 2)))


def test_a_view_with_its_size_written_out_is_refused():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.out = nn.Conv1d(1, 4, 3), nn.Linear(16, 2)

        def forward(self, x):
            return self.out(self.conv(x[:, None]).view(-1, 16))

    with pytest.raises(NotApplicable):
        treated(Fixed())


def test_concatenated_features_keep_their_width_and_are_named():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.out = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(8, 2)

        def forward(self, x):
            return self.out(torch.cat([self.a(x), self.b(x)], 1))

    with pytest.raises(NotApplicable, match="a is tied to a width by cat"):
        treated(Joined())


def test_a_slice_of_the_units_keeps_its_layer_and_the_others_shrink():
    class Sliced(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc, self.out = nn.Conv1d(1, 4, 3), nn.Linear(8, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.out(self.fc(self.conv(x[:, None]).flatten(1)[:, :8]))

    new = treated(Sliced())
    assert (new.conv.out_channels, new.fc.in_features, new.fc.out_features) == (4, 8, 3)


def test_layers_with_as_many_inputs_as_outputs_are_left_out_the_later_first():
    net = nn.Sequential(
        *(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 5), nn.BatchNorm1d(5), nn.ReLU()),
        *(nn.Linear(5, 5), nn.Tanh(), nn.Dropout(), nn.Linear(5, 2)),
    )
    new = treated(net, 1.0, layers=2)
    assert isinstance(new[2], nn.Linear)
    assert [type(new[i]) for i in (5, 6, 7)] == [nn.Identity] * 3
    new = treated(net, 1.0, layers=1)
    assert [type(new[i]) for i in (2, 3, 4, 5, 6)] == [nn.Identity] * 5
    assert torch.equal(new.eval()(X), net.eval()[8](net[:2](X)))
    with pytest.raises(NotApplicable, match="Only 2 of 3 hidden layers can be left out"):
        treated(net, 1.0, layers=0)


def test_fewer_and_narrower_layers_fit_together():
    net = nn.Sequential(
        *(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU()),
        nn.Linear(4, 2),
    )
    new = treated(net, 0.5, layers=2)
    assert (new[0].out_features, new[4].in_features, new[4].out_features) == (4, 4, 2)


def test_one_relu_for_all_layers_may_stay_where_a_layer_goes():
    act = nn.ReLU()
    net = nn.Sequential(nn.Linear(6, 5), act, nn.Linear(5, 5), act, nn.Linear(5, 2))
    new = treated(net, 1.0, layers=1)
    assert isinstance(new[2], nn.Identity)
    assert torch.allclose(new(X), net[4](net[:2](X)))


def test_nothing_shrinks_at_width_1():
    with pytest.raises(NotApplicable, match="keeps its 5 units at width 1"):
        treated(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2)), 1.0)


def test_arguments_out_of_range_are_refused():
    for bad in ({"width": 0.0}, {"width": 1.5}, {"layers": -1}, {"layers": 1.5}):
        with pytest.raises(ThresholdError):
            Shrink(**bad)
