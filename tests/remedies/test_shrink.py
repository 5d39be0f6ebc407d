"""Networks become smaller where their widths are free, and only there."""

import pickle
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.anatomy import inspect
from fitwell.errors import BadInput, NotApplicable, ThresholdError
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


def test_where_every_width_is_tied_all_that_belongs_together_shrinks():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.out = nn.Linear(6, 4), nn.Linear(6, 4), nn.Linear(8, 2)

        def forward(self, x):
            return self.out(torch.cat([self.a(x), self.b(x)], 1))

    new = treated(Joined())
    assert (new.a.out_features, new.b.out_features, new.out.in_features) == (2, 2, 4)
    assert new.a.weight.abs().max() <= 6**-0.5
    (edit,) = Shrink(0.5).edit(inspect(Joined(), X))
    assert "a is tied to a width by cat" in edit.left


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


def stack(hidden=16, depth=3, *, classes=2, rate=1, kernel=3, words=50):
    """A factory: of its whole numbers, two set the size."""
    layers = [nn.Linear(6, hidden), nn.ReLU()]
    layers += [m for _ in range(depth - 1) for m in (nn.Linear(hidden, hidden), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(hidden, classes))


def remade(make, *args, x=X, **options):
    torch.manual_seed(0)
    recipe = Recipe(Shrink(*args, **options))
    return recipe.apply(make(), example_input=x, make_model=make, seed=3)


def test_the_factory_is_called_with_a_smaller_width():
    result = remade(stack, 0.25)
    assert repr(result.model) == repr(stack(4))
    assert "forward: made anew by make_model(hidden=4)" in str(result.changes)
    assert "forward: 690 parameters -> 78" in str(result.changes)
    assert torch.equal(remade(stack, 0.25).model[0].weight, result.model[0].weight)
    assert not torch.equal(result.model[0].weight, stack()[0].weight[:4])


def test_the_factory_is_called_with_a_smaller_depth():
    assert repr(remade(stack, 1.0, layers=1).model) == repr(stack(depth=1))
    assert repr(remade(stack, 0.5, layers=2).model) == repr(stack(8, 2))


def test_defaults_of_a_partial_are_arguments_too():
    make = partial(stack, hidden=12, depth=2)
    assert repr(remade(make, 0.5).model) == repr(stack(6, 2))


@dataclass(frozen=True)
class Sizes:
    width: int = 8
    heads: int = 4


class Attending(nn.Module):
    def __init__(self, sizes=Sizes()):  # a configuration as a default
        super().__init__()
        self.enter = nn.Linear(6, sizes.width)
        self.attend = nn.MultiheadAttention(sizes.width, sizes.heads, batch_first=True)
        self.out = nn.Linear(sizes.width, 3)

    def forward(self, x):
        x = self.enter(x)
        return self.out(x + self.attend(x, x, x)[0])


def test_values_inside_a_configuration_are_found_and_the_nearest_that_runs_is_taken():
    result = remade(Attending, 0.6, x=torch.randn(2, 5, 6))
    assert (result.model.enter.out_features, result.model.attend.num_heads) == (4, 4)
    assert "make_model(sizes.width=4)" in str(result.changes)


def test_without_an_argument_that_serves_the_layers_are_edited():
    for make in (lambda: stack(16), lambda classes=2: stack(16, classes=classes)):
        new = remade(make, 0.5).model
        assert [m.out_features for m in new if isinstance(m, nn.Linear)] == [8, 8, 8, 2]


def test_a_factory_of_another_network_and_frozen_weights_are_not_made_anew():
    with pytest.raises(BadInput, match="make_model makes another network than the one given"):
        Recipe(Shrink()).apply(stack(8), example_input=X, make_model=stack)
    net = stack()
    net[0].requires_grad_(False)
    with pytest.raises(NotApplicable, match="frozen"):
        Recipe(Shrink()).apply(net, example_input=X, make_model=stack)


def test_a_second_application_is_refused_also_after_saving():
    new = pickle.loads(pickle.dumps(remade(stack, 0.5).model))
    with pytest.raises(BadInput, match="Shrink was applied to this network before"):
        treated(new)


def test_a_transformer_is_made_anew_from_its_configuration():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3}
    config = transformers.ViTConfig(
        image_size=16, patch_size=8, num_attention_heads=2, num_labels=3, **sizes
    )
    make = partial(transformers.ViTForImageClassification, config=config)
    result = remade(make, 0.5, x={"pixel_values": torch.randn(2, 3, 16, 16)}, layers=7)
    made = result.model.config
    assert (made.hidden_size, made.intermediate_size, made.num_hidden_layers) == (8, 16, 1)
    assert config.hidden_size == 16
