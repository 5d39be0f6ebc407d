"""Rows are thinned evenly, and what watches them leaves no mark."""

import pytest
import torch
from torch import nn

from fitwell.modules.rows import observe, run, sample, tensors_in


def test_rows_are_thinned_evenly_and_few_rows_stay():
    x = torch.arange(10)
    assert sample(x, 10) is x or torch.equal(sample(x, 10), x)
    assert sample(x, 4).tolist() == [0, 3, 6, 9]
    assert len(sample(torch.zeros(5000, 2))) == 1000


def test_what_belongs_to_a_row_is_thinned_with_it_and_the_rest_stays():
    x, mask = torch.arange(6), torch.ones(3)
    first, second, third = sample((x, mask, x + 1), 3)
    assert (first.tolist(), len(second), third.tolist()) == ([0, 2, 4], 3, [1, 3, 5])
    named = sample({"x": x, "flag": True}, 3)
    assert named["x"].tolist() == [0, 2, 4]
    assert named["flag"] is True


def test_a_hook_sees_the_first_call_and_may_change_it():
    layer = nn.Linear(2, 2)
    net = nn.Sequential(layer, nn.Dropout(0.5), layer).train()
    calls = []

    def note(module, args, kwargs, output):
        calls.append(module)
        return torch.zeros_like(output)

    output = observe(net, torch.ones(3, 2), {layer: note})
    assert calls == [layer]
    assert torch.equal(output, layer(torch.zeros(3, 2)))
    assert net.training
    assert net[1].training
    assert not layer._forward_hooks


def test_hooks_and_modes_are_restored_when_the_network_fails():
    net = nn.Sequential(nn.Linear(2, 2)).train()
    with pytest.raises(RuntimeError):
        observe(net, torch.ones(3, 9), {net[0]: print})
    assert net.training
    assert not net[0]._forward_hooks


def test_tensors_are_found_in_nested_outputs_and_rows_are_handed_over_as_they_come():
    x = torch.ones(1)
    assert len(list(tensors_in({"a": (x, [x, None]), "b": 3}))) == 2
    net = nn.Bilinear(2, 2, 1)
    a, b = torch.ones(3, 2), torch.ones(3, 2)
    assert torch.equal(run(net, (a, b)), run(net, {"input1": a, "input2": b}))
