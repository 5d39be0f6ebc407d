import math

import pytest
import torch
from torch import nn

import fitwell
from fitwell.errors import BadInput


def run():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return model, optimizer, nn.MSELoss(), torch.randn(16, 3), torch.randn(16, 2)


def train(model, optimizer, loss_fn, x, y, *, steps, broken_from=None):
    for step in range(steps):
        optimizer.zero_grad()
        given = x * math.nan if broken_from is not None and step >= broken_from else x
        loss_fn(model(given), y).backward()
        optimizer.step()


def test_each_finding_is_told_of_once_while_the_run_goes_on():
    told = []
    this = run()
    with fitwell.watch(*this[:3], on_finding=told.append, overhead=1.0) as watched:
        train(*this, steps=40, broken_from=10)
        assert "non_finite" in [f.condition for f in told]
        train(*this, steps=40, broken_from=0)
    conditions = [f.condition for f in told]
    assert len(conditions) == len(set(conditions))
    assert set(watched.diagnosis().conditions) <= set(conditions)


def test_what_the_callback_raises_goes_to_the_loop_and_no_hook_stays():
    def refuse(finding):
        raise ZeroDivisionError(finding.condition)

    model, optimizer, loss_fn, x, y = run()
    with (
        pytest.raises(ZeroDivisionError, match="non_finite"),
        fitwell.watch(model, optimizer, loss_fn, on_finding=refuse, overhead=1.0),
    ):
        train(model, optimizer, loss_fn, x, y, steps=40, broken_from=3)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert not optimizer._optimizer_step_post_hooks


def test_a_severe_finding_stops_training_after_the_last_good_state_was_saved(tmp_path):
    model, optimizer, loss_fn, x, y = run()
    path = tmp_path / "good.pt"
    with (
        pytest.raises(fitwell.TrainingStopped, match="severe non_finite") as stopped,
        fitwell.watch(model, optimizer, loss_fn, stop_on="severe", checkpoint=path, overhead=1.0),
    ):
        train(model, optimizer, loss_fn, x, y, steps=60, broken_from=12)
    assert "non_finite" in stopped.value.diagnosis.conditions
    assert stopped.value.checkpoint == path
    saved = torch.load(path)
    assert 0 <= saved["step"] <= 12
    fresh, again, *_ = run()
    fresh.load_state_dict(saved["model"])
    again.load_state_dict(saved["optimizer"])
    train(fresh, again, loss_fn, x, y, steps=2)
    assert all(p.isfinite().all() for p in fresh.parameters())


def test_the_saved_state_is_that_of_its_step(tmp_path):
    this = run()
    path = tmp_path / "good.pt"
    with (
        pytest.raises(fitwell.TrainingStopped),
        fitwell.watch(*this[:3], stop_on="severe", checkpoint=path, overhead=1.0),
    ):
        train(*this, steps=60, broken_from=12)
    saved = torch.load(path)
    plain = run()
    train(*plain, steps=saved["step"])
    expected = plain[0].state_dict()
    assert all(torch.equal(saved["model"][name], expected[name]) for name in expected)


def test_what_is_muted_is_neither_told_of_nor_stopped_for():
    told = []
    this = run()
    options = {"on_finding": told.append, "stop_on": "severe", "overhead": 1.0}
    mute = [*fitwell.records.CONDITIONS]
    with fitwell.watch(*this[:3], mute=mute, **options) as watched:
        train(*this, steps=30, broken_from=3)
    assert not told
    assert watched.diagnosis().healthy


def test_unknown_names_are_refused():
    this = run()
    with pytest.raises(BadInput, match="mute must name conditions, got 'dead_unit'"):
        fitwell.watch(*this[:3], mute=["dead_unit"])
    with pytest.raises(BadInput, match="must be a list, got 'dead_units'"):
        fitwell.watch(*this[:3], mute="dead_units")
    with pytest.raises(BadInput, match="stop_on must be one of mild"):
        fitwell.watch(*this[:3], stop_on="fatal")


def test_a_checkpoint_that_could_not_be_written_is_refused_before_the_run(tmp_path):
    this = run()
    with pytest.raises(BadInput, match="there is no folder"):
        fitwell.watch(*this[:3], stop_on="severe", checkpoint=tmp_path / "none" / "a.pt")
    with pytest.raises(BadInput, match="it is a folder"):
        fitwell.watch(*this[:3], stop_on="severe", checkpoint=tmp_path)
