from __future__ import annotations

from dataclasses import replace

import pytest

from fitwell.records import (
    CONDITIONS,
    ArmRecord,
    CureRecord,
    Diagnosis,
    Effect,
    RemedySpec,
    Score,
    StudyRecord,
    TaskRecord,
    Trial,
    Verdict,
    some_of,
)
from fitwell.report.conditions import condition_sentence, condition_title
from fitwell.report.wording import (
    cure_headline,
    diagnosis_headline,
    loss_sentence,
    recipe_label,
    remedy_sentence,
    study_headline,
)


def test_a_proven_cure_is_told_with_scores_effect_interval_and_seeds(cured: CureRecord) -> None:
    told = cure_headline(cured)
    assert told.number == "+4.9 points"
    assert told.tone == "good"
    assert told.sentence == (
        "Cured: accuracy on test rises from 86.0 % to 90.9 % (+4.9 points, 95 % interval "
        "+4.4 to +5.4 points, p < 0.001 over 8 fresh seeds)."
    )


def test_an_unproven_recipe_changes_nothing_and_says_no_evidence(unproven: CureRecord) -> None:
    told = cure_headline(unproven)
    assert told.number == "0 points"
    assert told.tone == "neutral"
    assert told.sentence.startswith("No evidence that a treatment helps")
    assert "+0.3 points, 95 % interval -0.4 to +1.0 points" in told.sentence
    assert told.sentence.endswith("Leave the network as it is: accuracy on test 86.0 %.")


def test_a_recipe_that_hurts_on_test_is_told_as_worse(unproven: CureRecord) -> None:
    assert unproven.proof is not None
    untreated, treated = unproven.proof.arms
    assert treated.verdict is not None
    worse = replace(treated, verdict=replace(treated.verdict, outcome="hurts"))
    record = replace(unproven, proof=replace(unproven.proof, arms=(untreated, worse)))
    assert "was worse on test" in cure_headline(record).sentence


def test_a_healthy_task_is_told_as_healthy(healthy: CureRecord) -> None:
    told = cure_headline(healthy)
    assert (told.number, told.tone) == ("0 points", "good")
    assert told.sentence.startswith("Healthy")


def test_a_sick_task_that_nothing_helped_is_not_told_as_healthy(
    healthy: CureRecord, diagnosis: Diagnosis
) -> None:
    told = cure_headline(replace(healthy, diagnosis=diagnosis))
    assert told.sentence.startswith("Nothing that was tried beat the untreated network")


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_what_was_better_but_not_proven_is_not_told_as_beaten(
    healthy: CureRecord, diagnosis: Diagnosis, higher_is_better: bool
) -> None:
    good, bad = (0.9, 0.1) if higher_is_better else (0.1, 0.9)
    treated = Trial((RemedySpec("ClipNorm", {}),), 1.0, Score(good, 1.0), 1)
    untreated = Trial((), 1.0, Score(bad, 1.0), 1)
    task = replace(healthy.task, higher_is_better=higher_is_better)
    record = replace(healthy, task=task, diagnosis=diagnosis, trials=(treated, untreated))
    said = cure_headline(record).sentence
    assert said.startswith("Nothing was proven, though recipes were better on validation data")
    worse = replace(record, trials=(treated, replace(untreated, score=treated.score)))
    assert cure_headline(worse).sentence.startswith("Nothing that was tried beat the untreated")


def test_an_error_that_falls_is_better_not_a_plus(cured: CureRecord) -> None:
    task = replace(cured.task, metric="mae", higher_is_better=False)
    told = cure_headline(replace(cured, task=task))
    assert told.number == "better by 0.0492"


def test_the_headline_of_a_comparison_is_the_best_arm_that_helps(
    proof: StudyRecord, task: TaskRecord, verdict: Verdict
) -> None:
    lucky = replace(verdict, arm="lucky", outcome="no evidence", effect=Effect(0.2, -1, 1, 0.9, 8))
    arms = (*proof.arms, ArmRecord("lucky", (), 1.0, (), lucky))
    told = study_headline(task, arms)
    assert told.number == "+4.9 points"
    assert told.sentence.startswith("treated helps: accuracy is better by 4.9 points")


def test_a_comparison_in_which_nothing_is_proven_leads_with_no_number(
    proof: StudyRecord, verdict: Verdict
) -> None:
    unsure = replace(proof.arms[1], verdict=replace(verdict, outcome="no evidence"))
    told = study_headline(proof.task, (proof.arms[0], unsure))
    assert (told.number, told.tone) == ("no evidence", "neutral")
    hurts = replace(
        unsure, verdict=replace(verdict, outcome="hurts", effect=Effect(-0.1, -0.2, -0.05, 0.01, 8))
    )
    told = study_headline(proof.task, (proof.arms[0], hurts))
    assert (told.number, told.tone) == ("-10.0 points", "bad")


def test_a_comparison_without_a_verdict_says_that_nothing_was_compared(proof: StudyRecord) -> None:
    assert "Only the untreated" in study_headline(proof.task, proof.arms[:1]).sentence


@pytest.mark.parametrize(("mean", "verb"), [(0.1, "falls"), (-0.1, "rises")])
def test_the_loss_falls_where_its_effect_is_positive(
    verdict: Verdict, mean: float, verb: str
) -> None:
    told = loss_sentence(replace(verdict, loss_effect=Effect(mean, -1, 1, 0.5, 8)))
    assert told.startswith(f"The loss on test {verb} by 0.1 ")


def test_a_diagnosis_counts_its_illnesses_and_names_their_roots(diagnosis: Diagnosis) -> None:
    told = diagnosis_headline(diagnosis)
    assert told.number == "1 illness"
    assert told.sentence == "Found: bad initialization (severe)."
    assert diagnosis_headline(Diagnosis()).number == "healthy"


def test_many_layers_are_counted_and_one_more_than_the_limit_is_still_named() -> None:
    assert some_of(list("abcd"), 3) == "a, b, c, d"
    assert some_of(list("abcde"), 3) == "a, b, c and 2 more"


def test_a_recipe_is_labelled_with_its_doses() -> None:
    recipe = (RemedySpec("BatchNorm"), RemedySpec("L2", {"strength": 1e-3, "decoupled": True}))
    assert recipe_label(recipe) == "BatchNorm + L2(strength=0.001, decoupled=True)"
    assert recipe_label(()) == "untreated"


def test_a_remedy_that_is_not_known_has_no_sentence() -> None:
    assert remedy_sentence(RemedySpec("Mystery")) == ""
    assert remedy_sentence(RemedySpec("Dropout")) != ""


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_has_a_title_and_a_sentence(condition: str) -> None:
    assert condition_title(condition)[0].isupper()
    assert condition_sentence(condition).endswith(".")
