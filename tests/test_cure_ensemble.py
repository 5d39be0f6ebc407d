"""All networks of the proof as one: the score, the module, the file, the sentence."""

from __future__ import annotations

import importlib.util
import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fitwell.cure import cure, job, networks, outputs
from fitwell.modules.ensemble import (
    Ensemble,
    mean_of_log_odds,
    mean_of_log_probabilities,
    mean_of_logits,
    mean_of_numbers,
)
from fitwell.records import ArmRecord, Averaged, Score
from fitwell.report.wording import averaged_sentence
from fitwell.studies import InProcess
from fitwell.studies.performing import outputs_name
from fitwell.tasks import Data, Split, Task

SEEDS = 4


def rows(count: int, seed: int) -> Split:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 4, generator=generator)
    noise = torch.randn(count, generator=generator)
    return Split(x, (x[:, 0] + x[:, 1] + 0.7 * noise > 0).long())


def small(units: int = 8) -> nn.Module:
    return nn.Sequential(nn.Linear(4, units), nn.ReLU(), nn.Linear(units, 2))


def easy_task() -> Task:
    data = Data(rows(200, 0), rows(150, 1), rows(150, 2), "table", ("left", "right"))
    return Task("easy", partial(small, 8), data, "cross_entropy", "accuracy", epochs=8)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def cured(tmp_path_factory):
    out = tmp_path_factory.mktemp("cure") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "executor_for", lambda *args, **options: InProcess())
        patch.setattr(outputs, "report_of", lambda record, name, **told: "a page")
        return cure(easy_task(), runs=4, seeds=SEEDS, out=out)


def test_the_mean_of_logits_has_the_mean_probabilities():
    logits = torch.randn(3, 5, 4) * 4
    found = F.softmax(mean_of_logits(logits), 1)
    assert torch.allclose(found, F.softmax(logits, 2).mean(0), atol=1e-6)


def test_the_classes_of_logits_of_every_pixel_are_on_the_same_axis():
    logits = torch.randn(2, 5, 4, 3)
    found = F.softmax(mean_of_logits(logits), 1)
    assert torch.allclose(found, F.softmax(logits, 2).mean(0), atol=1e-6)


def test_the_mean_of_log_probabilities_is_that_of_the_probabilities():
    logs = F.log_softmax(torch.randn(3, 5, 4), 2)
    assert torch.allclose(mean_of_log_probabilities(logs).exp(), logs.exp().mean(0), atol=1e-6)


def test_the_mean_of_log_odds_has_the_mean_probability_however_sure():
    odds = torch.tensor([[-200.0, 3.0], [1.0, 200.0]])
    found = torch.sigmoid(mean_of_log_odds(odds))
    assert torch.allclose(found, torch.sigmoid(odds).mean(0), atol=1e-6)
    assert torch.isfinite(mean_of_log_odds(odds)).all()


def test_numbers_are_averaged_as_they_are():
    assert torch.equal(mean_of_numbers(torch.tensor([[1.0], [3.0]])), torch.tensor([2.0]))


@pytest.mark.parametrize(
    ("loss", "average"),
    [
        ("cross_entropy", mean_of_logits),
        (nn.CrossEntropyLoss(label_smoothing=0.1), mean_of_logits),
        ("nll", mean_of_log_probabilities),
        ("bce_with_logits", mean_of_log_odds),
        ("huber", mean_of_numbers),
        (lambda outputs, targets: (outputs - targets).abs().mean(), mean_of_numbers),
    ],
)
def test_the_loss_says_what_is_averaged(loss, average):
    def spread(outputs, targets):
        return 0.0

    data = (torch.zeros(40, 4), torch.zeros(40))
    task = Task("any", small, data, loss, spread, higher_is_better=True)
    assert task.average is average


def test_the_ensemble_puts_out_the_mean_of_its_networks():
    both = [nn.Linear(2, 3), nn.Linear(2, 3)]
    x = torch.randn(5, 2)
    with torch.no_grad():
        expected = (both[0](x) + both[1](x)) / 2
        assert torch.allclose(Ensemble(both, mean_of_numbers)(x), expected)


def test_the_score_is_that_of_the_ensemble_on_test_and_stands_apart(cured):
    (found,) = [a for a in cured.record.averaged if a.arm == "untreated"]
    test = easy_task().data.test
    assert found.networks == SEEDS
    assert found.alone.metric == pytest.approx(
        sum(cured.record.to_dict()["baseline"]["per_seed"]) / SEEDS
    )
    if not cured.recipe.specs:
        with torch.no_grad():
            probabilities = sum(F.softmax(n(test.x), 1) for n in cured.ensemble.networks) / SEEDS
        loss = F.nll_loss(probabilities.log(), test.y).item()
        assert found.together.loss == pytest.approx(loss, rel=1e-5)
        right = (probabilities.argmax(1) == test.y).double().mean().item()
        assert found.together.metric == pytest.approx(right)


def test_the_result_file_names_every_arm(cured):
    result = json.loads((cured.out / "result.json").read_text())
    expected = ["untreated", "cured"] if cured.recipe.specs else ["untreated"]
    assert [one["arm"] for one in result["ensemble"]] == expected
    assert set(result["ensemble"][0]) == {"arm", "networks", "together", "alone"}


def test_treated_code_loads_the_ensemble_without_fitwell(cured):
    assert cured.ensemble is not None
    spec = importlib.util.spec_from_file_location("treated", cured.out / "treated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "fitwell" not in (cured.out / "treated.py").read_text().split('"""', 2)[2]
    loaded, x = module.load_ensemble(), rows(20, 9).x
    with torch.no_grad():
        assert torch.equal(loaded(x), cured.ensemble(x))
        expected = [("left", "right")[i] for i in cured.ensemble(x).argmax(1).tolist()]
    assert module.predict(x, loaded) == expected
    assert not loaded.training


def test_lost_outputs_are_made_again_and_give_the_same_score(cured, tmp_path, monkeypatch):
    arm = ArmRecord("untreated", (), cured.record.baseline[0].rate, cured.record.baseline)
    again = networks.averaged(tmp_path, easy_task(), arm, device="cpu")
    before = cured.record.averaged[0]
    assert (again.networks, again.together.metric) == (SEEDS, before.together.metric)
    assert again.together.loss == pytest.approx(before.together.loss, rel=1e-5)


def test_what_the_proof_put_out_is_read_and_not_made_again(cured, tmp_path, monkeypatch):
    test, folder = easy_task().data.test, tmp_path / networks.WEIGHTS
    folder.mkdir()
    arm = ArmRecord("untreated", (), 1.0, cured.record.baseline)
    for run in arm.runs:
        sure = F.one_hot(test.y, 2) * 50.0
        torch.save({"outputs": sure}, folder / outputs_name("untreated", run.seed))
    monkeypatch.setattr(networks, "network", None)
    found = networks.averaged(tmp_path, easy_task(), arm, device="cpu")
    assert found.together.metric == 1.0


def test_a_run_without_a_sound_epoch_is_left_out_and_one_network_is_no_ensemble(cured, tmp_path):
    first, second, *others = cured.record.baseline
    broken = [
        replace(r, diverged=True, curves=replace(r.curves, validation_loss=(math.nan,)))
        for r in others
    ]
    some = ArmRecord("untreated", (), first.rate, (first, second, *broken))
    assert networks.averaged(tmp_path, easy_task(), some, device="cpu").networks == 2
    one = ArmRecord("untreated", (), first.rate, (first, *broken))
    assert networks.averaged(tmp_path, easy_task(), one, device="cpu") is None
    assert networks.ensemble(tmp_path, easy_task(), one, device="cpu") is None


def test_what_is_no_better_together_on_validation_is_not_handed_over(cured, tmp_path):
    runs = [replace(run, validation=Score(1.0, 0.0)) for run in cured.record.baseline]
    arm = ArmRecord("untreated", (), runs[0].rate, tuple(runs))
    assert networks.ensemble(tmp_path, easy_task(), arm, device="cpu") is None


@pytest.mark.parametrize(
    ("higher", "metric", "expected"),
    [
        (True, "accuracy", "accuracy 90.0 %, +1.0 points over one of them"),
        (False, "mae", "MAE 0.9, worse by 0.01 over one of them"),
    ],
)
def test_the_sentence_says_what_is_gained(cured, higher, metric, expected):
    task = replace(cured.record.task, metric=metric, higher_is_better=higher)
    averaged = Averaged("cured", 8, Score(0.9, 0.3), Score(0.89, 0.4))
    said = averaged_sentence(averaged, task)
    assert said.startswith(f"Averaging the 8 cured networks already trained: {expected}")
    assert said.endswith("loss 0.3 instead of 0.4.")
