"""Batch norm with something changed on purpose."""

import pytest
import torch
from torch import nn

from fitwell.claims.norms import GhostBatchNorm, NoisyBatchNorm, following, table_of


def test_rows_that_share_a_statistic_are_normalised_together_and_others_apart() -> None:
    torch.manual_seed(0)
    norm, x = GhostBatchNorm(3, 4), torch.randn(12, 3)
    nn.init.uniform_(norm.weight), nn.init.uniform_(norm.bias)
    out = norm(x)
    for group in range(3):
        own, part = nn.BatchNorm1d(3), x[group::3]
        own.weight, own.bias = norm.weight, norm.bias
        torch.testing.assert_close(out[group::3], own(part))


def test_averages_and_evaluation_of_ghost_batches_are_those_of_plain_batch_norm() -> None:
    torch.manual_seed(0)
    norm, plain, x = GhostBatchNorm(3, 4), nn.BatchNorm1d(3), torch.randn(12, 3)
    norm(x), plain(x)
    torch.testing.assert_close(norm.eval()(x), plain.eval()(x), rtol=0, atol=0)


def test_noise_stands_behind_the_norm_in_training_only_and_changes_every_step() -> None:
    torch.manual_seed(0)
    norm, x = NoisyBatchNorm(200), torch.randn(500, 200)
    means = torch.stack([norm(x).mean(0) for _ in range(20)]).detach()
    assert means.abs().max() < 0.55
    assert means.mean().item() == pytest.approx(0, abs=0.02)
    assert means.std().item() == pytest.approx(1 / 12**0.5, abs=0.01)
    plain = nn.BatchNorm1d(200)
    plain.load_state_dict(norm.state_dict())
    torch.testing.assert_close(norm.eval()(x), plain.eval()(x), rtol=0, atol=0)


def test_following_notes_one_mean_a_training_step_and_lets_go() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 4), nn.Sigmoid())
    means: list[torch.Tensor] = []
    x = torch.randn(5, 2)
    with following(means, model, torch.optim.SGD(model.parameters())):
        model(x)
        model.eval()(x)
    model.train()(x)
    assert len(means) == 1
    torch.testing.assert_close(means[0], model[:3](x).mean(0).detach())


def test_a_table_has_a_cell_for_every_sample_and_unit() -> None:
    heat = table_of("a table", torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "rows")
    assert heat.rows == (
        ("sample 1", "unit 1", 1.0),
        ("sample 1", "unit 2", 2.0),
        ("sample 2", "unit 1", 3.0),
        ("sample 2", "unit 2", 4.0),
    )
    assert (heat.cut, heat.written) == ("rows", True)
