"""The anatomy is what really ran, and recording it changes nothing."""

import copy
import gc
import random
from weakref import ref

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell import anatomy
from fitwell.anatomy.recorder import Producers
from fitwell.errors import BadInput
from fitwell.modules import Recurrent
from fitwell.records import Role


class Residual(nn.Module):
    """A reused activation, a residual add, a gate, functional calls and a bare parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.gate = nn.Linear(8, 8)
        self.table = nn.Parameter(torch.randn(5, 8))
        self.head = nn.Linear(5, 3)

    def forward(self, x):
        x = self.act(self.norm(self.first(x)))
        y = F.max_pool2d(self.act(self.second(x) + x), 2).mean((2, 3))
        y = y * torch.sigmoid(self.gate(y))
        return self.head(F.dropout(torch.tanh(y @ self.table.t()), 0.5, self.training))


def test_the_way_to_an_activation_is_found_once_through_many_branches():
    class Ladder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.act = nn.Linear(4, 4), nn.Tanh()

        def forward(self, x):
            x = self.layer(x)
            for _ in range(40):
                left, right = x.chunk(2, dim=1)
                x = torch.cat([left, right], dim=1)
            return self.layer(self.act(x))

    found = anatomy.inspect(Ladder(), torch.randn(2, 4))
    layer = found.layers[0]
    assert found.activation_after(layer).path == "act"
    assert {node.kind for node in found.path_to_activation(layer)} == {"chunk", "cat"}


def test_a_norm_that_also_activates_is_looked_into():
    class Both(nn.GroupNorm):
        def __init__(self):
            super().__init__(2, 4)
            self.act = nn.ReLU()

        def forward(self, x):
            return self.act(F.group_norm(x, self.num_groups, self.weight, self.bias))

    found = anatomy.inspect(nn.Sequential(nn.Conv2d(1, 4, 3), Both()), torch.randn(2, 1, 5, 5))
    assert [(n.path, n.role) for n in found.nodes[1:]] == [
        ("1", Role.NORMALIZATION),
        ("1.act", Role.ACTIVATION),
    ]


class NewGELUActivation(nn.Module):
    def forward(self, x):
        return 0.5 * x * (1 + torch.tanh(x + 0.04 * x**3))


class PlainRMSNorm(nn.Module):
    def __init__(self, units):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(units))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class Conv1D(nn.Module):
    def __init__(self, units, inputs):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, units))
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, x):
        return torch.addmm(self.bias, x, self.weight)


def test_libraries_own_forms_of_torchs_modules_are_known():
    net = nn.Sequential(Conv1D(6, 4), NewGELUActivation(), PlainRMSNorm(6), nn.Linear(6, 2))
    found = anatomy.inspect(net, torch.randn(3, 4))
    assert [(n.path, n.kind, n.role) for n in found.nodes] == [
        ("0", "Conv1D", Role.LAYER),
        ("1", "GELU", Role.ACTIVATION),
        ("2", "PlainRMSNorm", Role.NORMALIZATION),
        ("3", "Linear", Role.LAYER),
    ]
    assert found.nodes[0].settings["in_features"] == 4
    assert found.nodes[0].settings["out_features"] == 6


def test_buffers_are_no_input_of_the_network():
    class Shifted(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)
            self.register_buffer("shift", torch.ones(4))
            self.register_buffer("ids", torch.arange(3))

        def forward(self, x):
            return self.a(x) + self.shift + self.ids[:1]

    nodes = anatomy.inspect(Shifted(), torch.randn(2, 4)).nodes
    assert [(n.kind, n.inputs, n.role) for n in nodes] == [
        ("Linear", (-1,), Role.LAYER),
        ("add", (0,), Role.OTHER),
        ("getitem", (), Role.SHAPE),
        ("add", (1, 2), Role.ADD),
    ]


def test_a_function_knows_its_line_and_how_often_it_was_called_before():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)

        def forward(self, x):
            return self.a(torch.tanh(self.a(torch.tanh(x))))

    block = Twice()
    found = anatomy.inspect(nn.Sequential(block, block), torch.randn(2, 4))
    tanhs = [n for n in found.nodes if n.kind == "tanh"]
    assert [(n.path, n.order, n.call) for n in tanhs] == [
        ("0", 0, 0),
        ("0", 1, 1),
        ("0", 0, 2),
        ("0", 1, 3),
    ]
    assert all(n.source.rpartition("/")[2].startswith("test_anatomy.py:") for n in tanhs)


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.unused = nn.Linear(4, 2), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, *, tokens, flag):
        return (self.left if flag else self.right)(tokens["x"])


@pytest.fixture
def residual():
    torch.manual_seed(0)
    return Residual()


def by_path(found, path):
    return next(node for node in found.nodes if node.path == path)


def test_nodes_stand_in_the_order_in_which_they_ran(residual):
    found = anatomy.inspect(residual, torch.randn(4, 1, 8, 8))
    assert [node.kind for node in found.nodes] == [
        *("Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "add", "ReLU", "max_pool2d", "mean"),
        *("Linear", "sigmoid", "mul", "matmul", "tanh", "dropout", "Linear"),
    ]


def test_roles_tell_gate_residual_and_activation_apart(residual):
    found = anatomy.inspect(residual, torch.randn(4, 1, 8, 8))
    roles = {node.kind: node.role for node in found.nodes}
    assert roles["sigmoid"] == Role.GATE
    assert roles["add"] == Role.ADD
    assert roles["tanh"] == Role.ACTIVATION
    assert roles["dropout"] == Role.DROPOUT
    assert roles["matmul"] == Role.LAYER


def test_a_reused_module_counts_its_calls(residual):
    found = anatomy.inspect(residual, torch.randn(4, 1, 8, 8))
    assert [node.call for node in found.nodes if node.path == "act"] == [0, 1]


def test_edges_follow_the_data_through_a_residual_add(residual):
    found = anatomy.inspect(residual, torch.randn(4, 1, 8, 8))
    add = next(node for node in found.nodes if node.role == Role.ADD)
    assert {found.nodes[index].path for index in add.inputs} == {"second", "act"}


def test_a_bare_parameter_makes_a_functional_layer(residual):
    found = anatomy.inspect(residual, torch.randn(4, 1, 8, 8))
    layer = next(node for node in found.nodes if node.kind == "matmul")
    assert layer.functional
    assert layer.parameters == ("table",)


def test_the_activation_that_follows_is_found_through_normalisation(residual):
    found = anatomy.inspect(residual, torch.randn(4, 1, 8, 8))
    first = by_path(found, "first")
    assert found.activation_after(first).path == "act"
    assert [node.path for node in found.path_to_activation(first)] == ["norm"]


def test_only_the_last_layer_is_an_output(residual):
    found = anatomy.inspect(residual, torch.randn(4, 1, 8, 8))
    assert [layer.path for layer in found.output_layers] == ["head"]


def test_control_flow_and_keyword_inputs_are_seen_as_they_ran():
    model = Branching()
    given = {"tokens": {"x": torch.randn(3, 4)}, "flag": False}
    assert [layer.path for layer in anatomy.inspect(model, given).layers] == ["right"]


@pytest.mark.parametrize("training", [True, False])
def test_inspecting_leaves_weights_buffers_modes_and_random_numbers_alone(residual, training):
    residual.train(training)
    residual.act.eval()
    before = copy.deepcopy(residual.state_dict())
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    anatomy.inspect(residual, torch.ones(4, 1, 8, 8))
    assert torch.equal(torch.rand(3), expected)
    assert residual.training is training
    assert not residual.act.training
    after = residual.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_no_hook_and_no_mode_outlive_an_exception(residual):
    with pytest.raises(RuntimeError):
        anatomy.inspect(residual, torch.randn(4, 3, 8, 8))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in residual.modules())
    assert torch.overrides._get_current_function_mode() is None


def test_a_recorded_training_forward_gives_the_same_output(residual):
    x = torch.randn(4, 1, 8, 8)
    torch.manual_seed(1)
    expected = copy.deepcopy(residual)(x)
    torch.manual_seed(1)
    with anatomy.Recorder(residual):
        got = residual(x)
    assert torch.equal(expected, got)


def test_a_transformer_layer_is_looked_into():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    found = anatomy.inspect(nn.Sequential(layer).eval(), torch.randn(2, 5, 16))
    assert [n.path for n in found.layers] == ["0.self_attn", "0.linear1", "0.linear2"]


def test_layer_facts_tell_role_activation_size_and_membership(residual):
    found = anatomy.inspect(residual, torch.randn(4, 1, 8, 8))
    residual.first.weight.requires_grad_(False)
    residual.first.bias.requires_grad_(False)
    optimizer = torch.optim.SGD(residual.second.parameters(), lr=0.1)
    facts = {fact.name: fact for fact in anatomy.layer_facts(residual, found, optimizer)}
    first, head = facts["first"], facts["head"]
    assert (first.role, first.activation, first.fan_in, first.units) == ("hidden", "relu", 9, 8)
    assert first.normalized
    assert not first.trainable
    assert not first.in_optimizer
    assert facts["second"].in_optimizer
    assert (head.role, head.activation, head.parameters) == ("output", "", 18)


def test_a_vanilla_recurrent_layer_has_its_own_activation():
    class Reader(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.RNN(8, 16, batch_first=True), nn.Linear(16, 10)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    model = Reader()
    facts = anatomy.layer_facts(model, anatomy.inspect(model, torch.randn(2, 5, 8)))
    assert [(f.name, f.role, f.activation) for f in facts] == [
        ("rnn", "recurrent", "tanh"),
        ("head", "output", ""),
    ]


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), (2, 12)),
        (
            nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 30 * 30, 2)),
            (2, 3, 32, 32),
        ),
        (nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 2)), (2, 8)),
        (nn.Sequential(nn.LSTM(5, 4)), (2, 8, 5)),
    ],
)
def test_an_example_is_made_from_what_the_first_layer_takes(model, shape):
    assert anatomy.example_for(model).shape == shape


def test_a_network_that_no_example_fits_asks_for_one():
    with pytest.raises(BadInput, match="give example_input="):
        anatomy.example_for(Branching())


class SqueezeExcite(nn.Module):
    """A gate that is reshaped and expanded before it multiplies, as most write it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 2)
        self.gate = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid())

    def forward(self, x):
        x = torch.relu(self.conv(x))
        y = self.gate(x.mean((2, 3))).view(len(x), 4, 1, 1)
        return self.head((x * y.expand_as(x)).mean((2, 3)))


class Blend(nn.Module):
    """Two gates: one acts as 1 - g, one through lerp."""

    def __init__(self) -> None:
        super().__init__()
        self.value, self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        y = self.value(x) * (1 - torch.sigmoid(self.one(x)))
        return self.head(torch.lerp(x, y, torch.sigmoid(self.two(x))))


@pytest.mark.parametrize(
    ("net", "x"), [(SqueezeExcite(), torch.randn(3, 1, 8, 8)), (Blend(), torch.randn(3, 4))]
)
def test_a_gate_is_known_behind_reshaping_complement_and_blending(net, x):
    sigmoids = [n for n in anatomy.inspect(net, x).nodes if n.slug == "sigmoid"]
    assert sigmoids
    assert {n.role for n in sigmoids} == {Role.GATE}


def test_a_scaled_or_shifted_activation_is_no_gate():
    class Scaled(Blend):
        def forward(self, x):
            return self.head((2 * torch.tanh(self.value(x)) - 1).view(-1, 4))

    (tanh,) = (n for n in anatomy.inspect(Scaled(), torch.randn(3, 4)).nodes if n.slug == "tanh")
    assert tanh.role == Role.ACTIVATION


@pytest.mark.parametrize(
    ("net", "x"),
    [
        (nn.Linear(4, 2), torch.randn(3, 4)),
        (nn.Conv2d(1, 2, 3), torch.randn(3, 1, 8, 8)),
        (nn.LSTM(4, 2, batch_first=True), torch.randn(3, 5, 4)),
    ],
)
def test_a_network_that_is_a_single_layer_is_that_layer(net, x):
    (layer,) = anatomy.inspect(net, x).layers
    assert (layer.path, layer.kind, layer.functional) == ("", type(net).__name__, False)
    assert set(layer.parameters) == dict(net.named_parameters()).keys()


def test_an_example_is_made_for_a_loop_over_a_recurrent_cell():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRUCell(4, 3), nn.Linear(3, 2)

        def forward(self, x):
            state = None
            for step in x.unbind(1):
                state = self.cell(step, state)
            return self.head(state)

    assert anatomy.example_for(Loop()).shape == (2, 8, 4)


def test_a_recurrent_layer_of_ours_is_one_and_tells_its_settings():
    net = nn.Sequential(Recurrent("RNN_TANH", 4, 3, norm=True, variational=0.2))
    (node,) = anatomy.inspect(net, torch.randn(5, 2, 4)).nodes
    assert node.role == Role.RECURRENT
    wanted = {"mode": "RNN_TANH", "nonlinearity": "tanh", "norm": True, "variational": 0.2}
    assert {name: node.settings[name] for name in wanted} == wanted


def test_a_class_with_a_forward_of_its_own_says_so():
    class Mine(nn.LayerNorm):
        def forward(self, x):
            return 2 * x

    nodes = anatomy.inspect(nn.Sequential(nn.LayerNorm(4), Mine(4)), torch.randn(2, 4)).nodes
    assert [node.settings.get("own_forward", False) for node in nodes] == [False, True]


class DrawsFromElsewhere(nn.Module):
    """Draws from numpy's and Python's random numbers, as layer drop in some networks does."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x) * (np.random.rand() + random.random())


def test_random_numbers_of_numpy_and_python_stay_as_they_are():
    random.seed(1)
    np.random.seed(1)
    wanted = random.random(), np.random.rand()
    random.seed(1)
    np.random.seed(1)
    anatomy.inspect(DrawsFromElsewhere(), torch.ones(2, 3))
    assert (random.random(), np.random.rand()) == wanted


def test_a_compiled_network_is_inspected_without_compiling_it():
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    net = torch.compile(nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), backend=backend)
    found = anatomy.inspect(net, torch.ones(2, 3))
    assert [node.kind for node in found.nodes] == ["Linear", "ReLU", "Linear"]
    assert compiled == []


def test_a_network_that_was_inspected_goes_when_its_last_name_goes():
    net = nn.Sequential(nn.Linear(3, 2))
    alive = ref(net)
    gc.collect()
    gc.disable()
    try:
        anatomy.inspect(net, torch.ones(1, 3))
        del net
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([nn.BatchNorm1d(6), nn.Linear(6, 3)], True),
        ([nn.Unflatten(1, (2, 3)), nn.Flatten(), nn.LayerNorm(6), nn.Linear(6, 3)], True),
        ([nn.Linear(6, 3), nn.BatchNorm1d(3)], False),
        ([nn.Identity(), nn.Linear(6, 3)], False),
        ([nn.ReLU()], False),
    ],
)
def test_a_normalisation_reads_the_input_if_it_stands_before_every_layer(layers, expected):
    recorded = anatomy.inspect(nn.Sequential(*layers), torch.randn(4, 6))
    assert anatomy.normalizes_input(recorded) is expected


def test_an_input_that_also_goes_around_the_normalisation_is_not_normalised():
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.a, self.b = nn.BatchNorm1d(6), nn.Linear(6, 3), nn.Linear(6, 3)

        def forward(self, x):
            return self.a(self.norm(x)) + self.b(x)

    assert not anatomy.normalizes_input(anatomy.inspect(Around(), torch.randn(4, 6)))


def test_a_recorded_pass_keeps_no_tensor_alive():
    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.first = nn.Linear(6, 6), None

        def forward(self, x):
            hidden = self.layer(x)
            self.first = ref(hidden)
            del x
            hidden = hidden.exp()
            alive = self.first() is not None
            return hidden, alive

    model, x = Watched(), torch.randn(2, 6)
    with torch.no_grad(), anatomy.Recorder(model) as recorder:
        _, alive = model(x)
    assert not alive
    assert [node.inputs for node in recorder.anatomy().nodes] == [(-1,), (0,)]


def test_what_is_known_of_a_tensor_goes_with_it():
    producers, tensor, other = Producers(), torch.ones(2), torch.ones(2)
    producers.note([tensor], 3)
    producers.note([tensor], 4)
    assert (producers.of(tensor), producers.of(other), len(producers)) == (4, -1, 1)
    del tensor
    assert len(producers) == 0, "another tensor may take its place in memory"
