import torch
from torch import nn

from fitwell.probes import Membership


def network():
    return nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.3), nn.Linear(2, 1))


def test_what_no_optimizer_holds_is_forgotten():
    model = network()
    facts = Membership(model, [torch.optim.SGD(model[0].parameters())]).facts()
    assert facts["forgotten"] == ("2.weight", "2.bias")


def test_what_another_optimizer_moves_is_not_forgotten():
    model = network()
    members = Membership(model, [torch.optim.SGD(model[0].parameters())])
    other = torch.optim.Adam(model[2].parameters())
    model(torch.ones(4, 3)).sum().backward()
    other.step()
    assert members.facts()["forgotten"] == ()


def test_what_an_optimizer_is_given_later_is_not_forgotten():
    model = network()
    optimizer = torch.optim.SGD(model[0].parameters())
    members = Membership(model, [optimizer])
    optimizer.add_param_group({"params": list(model[2].parameters())})
    assert members.facts()["forgotten"] == ()


def test_nothing_is_forgotten_where_no_optimizer_is_known():
    assert Membership(network()).facts()["forgotten"] == ()


def test_frozen_is_what_never_required_a_gradient():
    model = network()
    model[0].requires_grad_(False)
    members = Membership(model, [torch.optim.SGD(model.parameters())])
    assert members.facts()["frozen"] == ("0.weight", "0.bias")
    model[0].weight.requires_grad_(True)
    model[2].bias.requires_grad_(False)
    assert members.facts()["frozen"] == ("0.bias",)


def test_modes_matter_where_dropout_or_running_statistics_are():
    assert Membership(network()).facts()["dropout"] == 0.3
    assert Membership(network()).facts()["mode_matters"]
    assert Membership(nn.Sequential(nn.BatchNorm1d(2))).facts()["mode_matters"]
    assert not Membership(nn.Sequential(nn.LayerNorm(2), nn.Dropout(0.0))).facts()["mode_matters"]
    assert Membership(nn.LSTM(2, 2, 2, dropout=0.1)).facts()["dropout"] == 0.1
    still = nn.BatchNorm1d(2, track_running_stats=False)
    assert not Membership(still).facts()["mode_matters"]


def test_the_largest_decay_and_momentum_of_all_groups_count():
    model = network()
    groups = [
        {"params": model[0].parameters(), "weight_decay": 0.1},
        {"params": model[2].parameters(), "momentum": 0.8},
    ]
    facts = Membership(model, [torch.optim.SGD(groups, lr=0.1)]).facts()
    assert (facts["weight_decay"], facts["momentum"]) == (0.1, 0.8)
    adam = Membership(model, [torch.optim.AdamW(model.parameters(), betas=(0.5, 0.9))]).facts()
    assert (adam["weight_decay"], adam["momentum"]) == (0.01, 0.5)
