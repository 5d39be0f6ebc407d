"""Many predictions with dropout on have the mean and the variance that theory gives."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell import MonteCarlo, Recipe, monte_carlo, remedies
from fitwell.errors import BadInput, ThresholdError
from fitwell.modules import Recurrent

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


def mlp(rate=0.2):
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Linear(6, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(rate), nn.Linear(64, 3))
    )


def test_of_a_linear_network_mean_and_variance_are_those_of_the_formula():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Dropout(0.3), nn.Linear(6, 2)).double()
    found = monte_carlo(net, X.double(), samples=20_000)
    weight, bias = net[1].weight.detach(), net[1].bias.detach()
    mean = X.double() @ weight.T + bias
    variance = 0.3 / 0.7 * (X.double() ** 2) @ (weight**2).T
    assert torch.allclose(found.mean, mean, atol=0.03)
    assert torch.allclose(found.deviation**2, variance, rtol=0.1, atol=1e-3)


def test_the_mean_is_close_to_the_output_in_evaluation():
    net = mlp().eval()
    found = monte_carlo(net, X, samples=400)
    error = (found.mean - net(X).detach()).abs().max()
    assert error < 0.1 * net(X).std()
    assert error > 0


def test_batch_norm_stays_in_evaluation():
    net = mlp(rate=0.001).train()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    found = monte_carlo(net, X)
    assert torch.allclose(found.mean, net.eval()(X), atol=0.01)
    assert all(torch.equal(net.state_dict()[name], value) for name, value in state.items())


def test_modes_and_random_numbers_stay_and_the_seed_decides():
    net = mlp().train()
    net[3].eval()
    modes, random = [m.training for m in net.modules()], torch.get_rng_state()
    first = monte_carlo(net, X, samples=3, seed=4)
    assert [m.training for m in net.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.equal(first.samples, monte_carlo(net, X, samples=3, seed=4).samples)
    assert not torch.equal(first.samples, monte_carlo(net, X, samples=3, seed=5).samples)
    assert first.samples.shape == (3, 8, 3)
    assert not first.samples.requires_grad


class Functional(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate, self.out = rate, nn.Linear(6, 3)

    def forward(self, x):
        return self.out(F.dropout(x, self.rate, self.training))


class Last(nn.Module):
    def __init__(self, rnn):
        super().__init__()
        self.rnn = rnn

    def forward(self, x):
        return self.rnn(x)[0]


DROPPING = [
    (nn.Sequential(nn.Dropout(0.5, inplace=True)), X),
    (Functional(0.5), X),
    (Last(nn.LSTM(6, 3, num_layers=2, dropout=0.5)), X[None]),
    (Last(Recurrent("GRU", 6, 3, variational=0.5)), X[None]),
    (nn.TransformerEncoderLayer(6, 2, 12, dropout=0.5, batch_first=True), X[None]),
]


@pytest.mark.parametrize(("net", "x"), DROPPING)
def test_dropout_of_every_kind_acts_and_the_input_stays(net, x):
    given = x.clone()
    assert (monte_carlo(net, x).deviation > 0).any()
    assert torch.equal(x, given)


def test_dropout_inside_attention_acts():
    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 2, dropout=0.5, batch_first=True)

        def forward(self, x):
            return self.attention(x, x, x)[0]

    net = Attending()
    assert (monte_carlo(net, X[None]).deviation > 0).all()
    assert net.attention.training


@pytest.mark.parametrize(
    ("net", "x"),
    [
        (nn.Sequential(nn.Linear(6, 2)), X),
        (nn.Sequential(nn.Dropout(0.0), nn.Linear(6, 2)), X),
        (Functional(0.0), X),
        (Last(nn.LSTM(6, 3)), X[None]),
    ],
)
def test_a_network_without_active_dropout_is_refused(net, x):
    with pytest.raises(BadInput, match="no active dropout"):
        monte_carlo(net, x)


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ThresholdError, match="samples"):
        monte_carlo(mlp(), X, samples=1)
    with pytest.raises(BadInput, match="a tensor of floating point"):
        monte_carlo(nn.Sequential(nn.Dropout(), nn.Linear(6, 2), Argmax()), X)


class Argmax(nn.Module):
    def forward(self, x):
        return x.argmax(1)


def test_samples_that_agree_share_no_information_however_unsure():
    found = MonteCarlo(torch.zeros(10, 4, 2))
    assert torch.allclose(found.entropy(), torch.full((4,), math.log(2)))
    assert torch.equal(found.mutual_information(), torch.zeros(4))


def test_samples_that_are_sure_and_disagree_share_all_of_it():
    logits = torch.full((2, 1, 2), -1000.0)
    logits[0, 0, 0] = logits[1, 0, 1] = 1000.0
    found = MonteCarlo(logits)
    assert torch.allclose(found.probabilities(), torch.tensor([[0.5, 0.5]]))
    assert found.entropy().item() == pytest.approx(math.log(2))
    assert found.mutual_information().item() == pytest.approx(math.log(2))


def test_entropies_are_those_of_torchs_distributions():
    logits = torch.randn(20, 5, 3, 4).double()
    found = MonteCarlo(logits)
    each = torch.distributions.Categorical(logits=logits.movedim(2, -1))
    whole = torch.distributions.Categorical(probs=each.probs.mean(0))
    assert torch.allclose(found.entropy(1), whole.entropy())
    assert torch.allclose(found.mutual_information(1), whole.entropy() - each.entropy().mean(0))
    assert torch.allclose(found.entropy(-2), found.entropy(1))


def test_a_single_logit_is_that_of_the_second_of_two_classes():
    logits = torch.randn(20, 5, 1)
    found = MonteCarlo(logits).probabilities()
    assert torch.allclose(found[:, 1], logits.sigmoid().mean(0)[:, 0])
    with pytest.raises(BadInput, match=r"The output \(5,\) has no axis 1 of classes"):
        MonteCarlo(logits[..., 0]).entropy()


def test_a_network_treated_by_dropout_is_unsure_where_it_has_seen_nothing():
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 64)[:, None]
    net = nn.Sequential(nn.Linear(1, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU())
    net = nn.Sequential(*net, nn.Linear(64, 1))
    net = Recipe(remedies.Dropout(0.1)).apply(net, example_input=x).model.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(150):
        loss = F.mse_loss(net(x), x.sin())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    near, far = (monte_carlo(net, torch.tensor([[at]])).deviation.item() for at in (0.5, 5.0))
    assert far > 2 * near


def test_the_entropy_of_half_precision_outputs_is_that_of_the_same_numbers_in_single():
    samples = monte_carlo(mlp().bfloat16(), X.bfloat16()).samples
    assert samples.dtype == torch.bfloat16
    half, single = MonteCarlo(samples), MonteCarlo(samples.float())
    assert torch.equal(half.entropy(), single.entropy())
    assert torch.equal(half.mutual_information(), single.mutual_information())
