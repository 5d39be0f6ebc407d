from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwell.prescribe import REMEDIES_FOR
from fitwell.records import Diagnosis, Finding, RemedySpec
from fitwell.remedies import REMEDIES
from fitwell.studies.search.prior import (
    AGAINST,
    NEUTRAL,
    TOGETHER,
    names_remedies,
    prior_of,
    started,
)
from fitwell.studies.search.space import space_for

SPACE = space_for("image", lambda recipe: None)


def found(condition, *names, severity="severe", confidence=0.9, cause=None):
    specs = tuple(n if isinstance(n, RemedySpec) else RemedySpec(n) for n in names)
    return Finding(condition, severity, confidence, (), 0, {}, "", specs, cause)


OVERFITTING = Diagnosis((found("overfitting", "EarlyStopping", "Augment", "Dropout", "L2"),))
VANISHING = Diagnosis((found("vanishing_gradients", "BatchNorm", "Activation", "Initialization"),))


def plans(diagnosis):
    return [set(plan) for plan in prior_of(diagnosis, SPACE).plans]


def test_what_a_finding_names_is_raised_the_first_most():
    shares = prior_of(OVERFITTING, SPACE).probability
    assert shares["Augment"] > shares["Dropout"] > shares["L2"] > NEUTRAL
    others = [p for n, p in shares.items() if n not in ("Augment", "Dropout", "L2")]
    assert max(others) <= 2 * NEUTRAL < shares["L2"]


def test_a_first_remedy_of_a_sure_and_severe_finding_has_the_probability_that_is_written():
    sure = Diagnosis((found("overfitting", "Augment", confidence=1.0),))
    assert prior_of(sure, SPACE).probability["Augment"] == pytest.approx(0.6)


def test_what_answers_healthy_conditions_alone_is_lowered_and_never_to_zero():
    prior = prior_of(VANISHING, SPACE)
    assert prior.probability["Shrink"] == AGAINST > 0
    assert prior.reasons["Shrink"] == "it answers overfitting: not found"


def test_what_could_not_be_judged_lowers_nothing():
    blind = Diagnosis(VANISHING.findings, ("overfitting: no validation loss was logged.",))
    assert prior_of(blind, SPACE).probability["Shrink"] == NEUTRAL


def test_a_run_that_did_not_learn_says_nothing_of_overfitting():
    stuck = Diagnosis((*VANISHING, found("not_learning")))
    assert prior_of(stuck, SPACE).probability["Shrink"] == NEUTRAL


def test_a_rival_of_what_is_named_is_raised_a_little():
    prior = prior_of(VANISHING, SPACE)
    assert NEUTRAL < prior.probability["LayerNorm"] < prior.probability["BatchNorm"]
    assert prior.reasons["LayerNorm"] == "it can stand in for BatchNorm"


def test_two_findings_are_two_reasons():
    one = Diagnosis((found("dead_units", "Initialization"),))
    two = Diagnosis((*one, found("exploding_gradients", "Initialization")))
    raised = prior_of(two, SPACE)
    assert raised.probability["Initialization"] > prior_of(one, SPACE).probability["Initialization"]
    assert raised.reasons["Initialization"].count("names it") == 2


def test_an_explained_finding_counts_for_less_than_its_cause():
    cause = found("bad_initialization", "LSUV")
    prior = prior_of(Diagnosis((cause, found("dead_units", "L1", cause=cause))), SPACE)
    assert prior.probability["L1"] < prior.probability["LSUV"]


@given(
    severity=st.sampled_from(("mild", "moderate", "severe")),
    confidence=st.floats(0, 1),
    names=st.lists(st.sampled_from(sorted(REMEDIES)), unique=True),
    condition=st.sampled_from(sorted(REMEDIES_FOR)),
)
def test_whatever_is_found_every_probability_lies_between_zero_and_one(
    severity, confidence, names, condition
):
    diagnosis = Diagnosis((found(condition, *names, severity=severity, confidence=confidence),))
    prior = prior_of(diagnosis, SPACE)
    assert prior.probability.keys() == prior.reasons.keys() == SPACE.options.keys()
    assert all(0 < p < 1 for p in prior.probability.values())


def test_the_classic_combination_comes_first():
    assert plans(VANISHING)[0] == {"Activation", "Initialization", "BatchNorm"}


def test_every_named_remedy_is_tried_by_itself_and_none_twice():
    tried = plans(OVERFITTING)
    assert {"Augment"} in tried
    assert {"Dropout"} in tried
    assert {"L2"} in tried
    assert len({frozenset(plan) for plan in tried}) == len(tried)


def test_what_all_findings_name_is_tried_together():
    union = {"Activation", "BatchNorm", "Dropout", "Initialization", "Augment", "L2"}
    assert union in plans(Diagnosis((*VANISHING, *OVERFITTING)))


def test_a_condition_without_a_row_of_combinations_takes_what_its_finding_names():
    diagnosis = Diagnosis((found("dead_units", "Activation", "Initialization", "ClipNorm"),))
    assert plans(diagnosis)[0] == {"Activation", "Initialization"}


def test_a_healthy_diagnosis_plans_nothing_and_names_no_remedy():
    assert plans(Diagnosis()) == []
    assert not names_remedies(Diagnosis())
    assert not names_remedies(Diagnosis((found("overfitting", "EarlyStopping"),)))
    assert names_remedies(OVERFITTING)


def test_what_cannot_serve_is_in_no_plan():
    space = space_for("image", lambda recipe: "no" if recipe[0].name == "Augment" else None)
    prior = prior_of(OVERFITTING, space)
    assert all("Augment" not in plan for plan in prior.plans)
    assert prior.plans


def test_a_dose_that_the_diagnosis_names_is_where_the_search_begins():
    diagnosis = Diagnosis((found("overfitting", RemedySpec("Dropout", {"rate": 0.6})),))
    assert prior_of(diagnosis, SPACE).starts["Dropout"].args == {"rate": 0.6}
    assert prior_of(OVERFITTING, SPACE).starts["Dropout"].args == {"rate": 0.35}


def test_arguments_beside_the_dose_stay_as_the_diagnosis_sets_them():
    slower = RemedySpec("LearningRate", {"factor": 0.1, "warmup": 0})
    prior = prior_of(Diagnosis((found("learning_rate_too_high", slower),)), SPACE)
    option = started(SPACE, prior).options["LearningRate"]
    assert option.fixed == {"factor": 0.1}
    assert option.spec(1.0).args == {"factor": 0.1, "warmup": 300}


def test_every_combination_is_of_known_remedies():
    for combinations in TOGETHER.values():
        assert all(name in REMEDIES for plan in combinations for name in plan)
