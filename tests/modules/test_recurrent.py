"""A recurrent layer of ours is torch's own, and normalises and drops as its papers say."""

import copy
import pickle
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from fitwell.modules import Recurrent, RecurrentCell
from fitwell.modules import recurrent as file

MODES = ("LSTM", "GRU", "RNN_TANH", "RNN_RELU")


def torchs(mode, *args, **options):
    if mode.startswith("RNN"):
        return nn.RNN(*args, nonlinearity=mode[4:].lower(), **options)
    return getattr(nn, mode)(*args, **options)


def twins(mode, layers=1, bias=True, batch_first=False, bidirectional=False, **options):
    """Torch's layer, and ours with its weights, both in double precision."""
    torch.manual_seed(0)
    shape = {"num_layers": layers, "bias": bias, "batch_first": batch_first}
    theirs = torchs(mode, 5, 7, **shape, bidirectional=bidirectional).double()
    ours = Recurrent(mode, 5, 7, **shape, bidirectional=bidirectional, **options).double()
    missing = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not missing.unexpected_keys
    assert all(key.startswith(("gain", "offset")) for key in missing.missing_keys)
    return theirs, ours


def tensors(result):
    output, state = result
    data = output.data if isinstance(output, PackedSequence) else output
    return [data, *([state] if isinstance(state, torch.Tensor) else state)]


def assert_equal(first, second, atol=1e-9):
    for a, b in zip(tensors(first), tensors(second), strict=True):
        assert a.shape == b.shape
        assert torch.allclose(a, b, atol=atol, rtol=0)


def inputs(batch_first):
    x = torch.randn(4, 6, 5).double()
    lengths = [3, 6, 2, 5] if batch_first else [4, 2, 1, 4, 3, 2]
    yield x
    yield x[0]
    yield pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    yield pack_padded_sequence(x, sorted(lengths, reverse=True), batch_first)


@pytest.fixture
def identity(monkeypatch):
    """Normalisation that changes nothing but by gain and offset."""

    def scaled(x, shape, weight=None, bias=None, eps=1e-5):
        x = x if weight is None else x * weight
        return x if bias is None else x + bias

    monkeypatch.setattr(file.F, "layer_norm", scaled)


SHAPES = list(product((1, 2), (True, False), (True, False), (True, False)))


@pytest.mark.parametrize("mode", MODES)
def test_without_a_norm_it_is_torchs_layer_bit_for_bit(mode):
    for shape in SHAPES:
        theirs, ours = twins(mode, *shape, variational=0.5)
        ours.eval()
        for x in inputs(shape[2]):
            assert_equal(ours(x), theirs(x), atol=0)


@pytest.mark.parametrize("mode", MODES)
def test_step_by_step_it_is_torchs_layer(mode):
    for shape in SHAPES:
        theirs, ours = twins(mode, *shape, variational=1e-13)
        for x in inputs(shape[2]):
            assert_equal(ours(x), theirs(x))


@pytest.mark.parametrize("mode", MODES)
def test_with_a_norm_that_is_the_identity_it_is_torchs_layer(mode, identity):
    for shape in SHAPES:
        theirs, ours = twins(mode, *shape, norm=True)
        for x in inputs(shape[2]):
            assert_equal(ours(x), theirs(x))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("options", [{}, {"norm": True}])
def test_a_state_that_is_given_is_where_it_begins(mode, options, identity):
    theirs, ours = twins(mode, 2, True, True, True, **options)
    x, state = torch.randn(3, 6, 5).double(), torch.randn(4, 3, 7).double()
    hx = (state, state + 1) if mode == "LSTM" else state
    assert_equal(ours(x, hx), theirs(x, hx))
    packed = pack_padded_sequence(x, [2, 6, 4], batch_first=True, enforce_sorted=False)
    assert_equal(ours(packed, hx), theirs(packed, hx))
    single = (state[:, 0], state[:, 0] + 1) if mode == "LSTM" else state[:, 0]
    assert_equal(ours(x[0], single), theirs(x[0], single))


@pytest.mark.parametrize("options", [{}, {"norm": True}])
def test_what_torchs_layer_refuses_is_refused_alike(options):
    theirs, ours = twins("LSTM", **options)
    for net in (theirs, ours):
        with pytest.raises(RuntimeError, match="Expected 5, got 4"):
            net(torch.zeros(3, 2, 4).double())
        with pytest.raises(RuntimeError, match="hidden"):
            net(torch.zeros(3, 2, 5).double(), (torch.zeros(1, 4, 7).double(),) * 2)
        with pytest.raises(ValueError, match="dtype"):
            net(torch.zeros(3, 2, 5))


def norm(a):
    return (a - a.mean(-1, keepdims=True)) / np.sqrt(a.var(-1, keepdims=True) + 1e-5)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def by_formula(net, x):
    """The states of a normalised layer by numpy, one step after the other."""
    p = {name.removesuffix("_l0"): v.detach().numpy() for name, v in net.named_parameters()}
    h = c = np.zeros((x.shape[1], net.hidden_size))
    found, n = [], net.hidden_size
    for step in x.numpy():
        given, held = step @ p["weight_ih"].T, h @ p["weight_hh"].T
        if net.mode == "LSTM":
            a = p["gain_ih"] * norm(given) + p["bias_ih"]
            a = a + p["gain_hh"] * norm(held) + p["bias_hh"]
            i, f, g, o = np.split(a, 4, -1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(p["gain_cell"] * norm(c) + p["offset_cell"])
        elif net.mode == "GRU":
            halves = ((given, "ih"), (held, "hh"))
            gates = sum(
                p[f"gain_{k}"][: 2 * n] * norm(v[:, : 2 * n]) + p[f"bias_{k}"][: 2 * n]
                for v, k in halves
            )
            new, old = (
                p[f"gain_{k}"][2 * n :] * norm(v[:, 2 * n :]) + p[f"bias_{k}"][2 * n :]
                for v, k in halves
            )
            r, z = np.split(sigmoid(gates), 2, -1)
            h = (1 - z) * np.tanh(new + r * old) + z * h
        else:
            h = np.tanh(p["gain"] * norm(given + held) + p["bias_ih"] + p["bias_hh"])
        found.append(h)
    return np.stack(found)


@pytest.mark.parametrize("mode", ["LSTM", "GRU", "RNN_TANH"])
def test_it_normalises_what_its_docstring_says(mode):
    torch.manual_seed(0)
    net = Recurrent(mode, 5, 7, norm=True).double()
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.startswith(("gain", "offset")):
                parameter += torch.randn_like(parameter)
    x = torch.randn(6, 3, 5).double()
    assert np.allclose(net(x)[0].detach().numpy(), by_formula(net, x), atol=1e-10)


def test_gains_begin_at_1_and_offsets_at_0_and_come_back_there():
    net = Recurrent("LSTM", 3, 4, num_layers=2, norm=True)
    for _ in range(2):
        for name, parameter in net.named_parameters():
            if name.startswith(("gain", "offset")):
                assert (parameter == float(name.startswith("gain"))).all()
                nn.init.normal_(parameter)
        net.reset_parameters()


def test_a_layer_without_biases_has_no_offset_but_that_of_the_cell():
    names = set(Recurrent("LSTM", 3, 4, bias=False, norm=True).state_dict())
    assert names == {
        *("weight_ih_l0", "weight_hh_l0", "gain_ih_l0", "gain_hh_l0", "gain_cell_l0"),
        "offset_cell_l0",
    }


@pytest.mark.parametrize("mode", MODES)
def test_the_gradients_are_right(mode):
    torch.manual_seed(0)
    net = Recurrent(mode, 2, 3, bidirectional=True, norm=True).double()
    x = torch.randn(2, 2, 2).double().requires_grad_()

    def run(x, *_):
        return tensors(net(x))[0]

    assert torch.autograd.gradcheck(run, (x, *net.parameters()))


@pytest.mark.parametrize("mode", MODES)
def test_the_gradients_through_variational_dropout_are_right(mode):
    net = Recurrent(mode, 2, 3, variational=0.4).double()
    x = torch.randn(3, 2, 2).double().requires_grad_()

    def run(x, *_):
        torch.manual_seed(0)
        return tensors(net(x))[0]

    assert torch.autograd.gradcheck(run, (x, *net.parameters()))


def counter(**options):
    """A layer that puts out its input, or keeps its state, as its weights are then set."""
    net = Recurrent("RNN_RELU", 50, 50, bias=False, **options)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    return net


def test_the_same_units_of_the_input_are_dropped_at_every_step_and_others_in_other_rows():
    net = counter(variational=0.4)
    nn.init.eye_(net.weight_ih_l0)
    output, _ = net(torch.ones(6, 20, 50))
    assert torch.equal(output, output[:1].expand_as(output))
    assert not torch.equal(output[0, 0], output[0, 1])
    assert sorted(output.unique().tolist()) == pytest.approx([0.0, 1 / 0.6])
    assert (output == 0).float().mean().item() == pytest.approx(0.4, abs=0.05)
    assert not torch.equal(net(torch.ones(6, 20, 50))[0], output)


def test_the_same_units_of_the_state_are_dropped_at_every_step():
    net = counter(variational=0.4)
    nn.init.eye_(net.weight_hh_l0)
    output, _ = net(torch.zeros(4, 20, 50), torch.ones(1, 20, 50))
    kept = output[0] > 0
    assert kept.float().mean().item() == pytest.approx(0.6, abs=0.05)
    for step, value in enumerate(output):
        assert torch.allclose(value, kept * (1 / 0.6) ** (step + 1))


def test_packed_sequences_keep_their_masks_as_others_end():
    net = counter(variational=0.4)
    nn.init.eye_(net.weight_ih_l0)
    packed = pack_padded_sequence(torch.ones(5, 3, 50), [2, 5, 3], enforce_sorted=False)
    output, lengths = nn.utils.rnn.pad_packed_sequence(net(packed)[0])
    for row, length in enumerate(lengths):
        assert torch.equal(output[:length, row], output[:1, row].expand(length, -1))
        assert not output[length:, row].any()


def test_in_evaluation_nothing_is_dropped():
    net = Recurrent("GRU", 3, 4, num_layers=2, dropout=0.5, variational=0.5, norm=True).eval()
    x = torch.randn(5, 2, 3)
    assert torch.equal(net(x)[0], net(x)[0])
    assert not torch.equal(net.train()(x)[0], net(x)[0])


def test_plain_dropout_between_the_layers_is_that_of_torch():
    _, ours = twins("LSTM", 2, dropout=0.5)
    theirs = nn.LSTM(5, 7, num_layers=2, dropout=0.5).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 3, 5).double()
    results = []
    for net in (theirs, ours):
        torch.manual_seed(3)
        results.append(net(x))
    assert_equal(*results, atol=0)
    ours.variational = 1e-13
    with_dropout = ours(x)[0]
    ours.dropout = 0.0
    assert not torch.allclose(ours(x)[0], with_dropout)


def test_plain_dropout_leaves_the_input_of_the_first_layer_alone():
    net = Recurrent("LSTM", 3, 4, num_layers=2, dropout=0.99, norm=True)
    x = torch.randn(5, 2, 3)
    first = Recurrent("LSTM", 3, 4, norm=True)
    first.load_state_dict({k: v for k, v in net.state_dict().items() if k.endswith("_l0")})
    assert torch.equal(net(x)[1][0][0], first(x)[1][0][0])


def test_it_copies_pickles_and_moves_like_torchs():
    net = Recurrent("LSTM", 3, 4, norm=True, variational=0.2).eval()
    x = torch.randn(2, 5, 3)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(twin(x)[0], net(x)[0])
    assert net.to(torch.bfloat16)(x.bfloat16())[0].dtype == torch.bfloat16


@pytest.mark.parametrize("mode", MODES)
def test_it_works_under_autocast_and_functional_call(mode):
    net = Recurrent(mode, 3, 4, norm=True, variational=0.2)
    x = torch.randn(2, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        net(x)[0].sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    plain = Recurrent(mode, 3, 4)
    zeros = {name: torch.zeros_like(p) for name, p in plain.named_parameters()}
    assert not torch.func.functional_call(plain, zeros, (x,))[0].any()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_is_torchs_cell(mode, bias, identity):
    if mode.startswith("RNN"):
        theirs = nn.RNNCell(5, 7, bias, nonlinearity=mode[4:].lower())
    else:
        theirs = getattr(nn, f"{mode}Cell")(5, 7, bias)
    x, h = torch.randn(3, 5), torch.randn(3, 7)
    hx = (h, h + 1) if mode == "LSTM" else h
    single = (h[0], h[0] + 1) if mode == "LSTM" else h[0]
    for options in ({}, {"norm": True}):
        ours = RecurrentCell(mode, 5, 7, bias, **options)
        ours.load_state_dict(theirs.state_dict(), strict=False)
        for args in ((x,), (x, hx), (x[0],), (x[0], single)):
            first, second = ours(*args), theirs(*args)
            pairs = zip(first, second, strict=True) if mode == "LSTM" else [(first, second)]
            assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_a_cell_normalises_as_the_layer_does():
    layer = Recurrent("LSTM", 3, 4, norm=True)
    cell = RecurrentCell("LSTM", 3, 4, norm=True)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x, state = torch.randn(5, 2, 3), None
    for step, expected in zip(x, layer(x)[0], strict=True):
        state = cell(step, state)
        assert torch.allclose(state[0], expected, atol=1e-6)


def test_it_learns_where_the_first_of_many_steps_decides():
    torch.manual_seed(0)
    x = torch.randn(12, 64, 2)
    y = (x[0, :, 0] > 0).long()
    net, out = Recurrent("GRU", 2, 16, norm=True), nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*net.parameters(), *out.parameters()], lr=0.05)
    for _ in range(30):
        loss = F.cross_entropy(out(net(x)[0][-1]), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
