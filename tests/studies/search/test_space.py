from __future__ import annotations

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitwell.records import RemedySpec
from fitwell.remedies import REMEDIES, from_spec
from fitwell.studies.candidates import Candidate, rivals_of
from fitwell.studies.search.space import DOSES, NOT_SEARCHED, RATE, space_for

ALL = space_for("image", lambda recipe: None)


def test_the_space_is_every_remedy_but_those_of_a_trained_network():
    assert set(ALL.options) == set(REMEDIES) - {"EarlyStopping", "FoldBatchNorm", "Prune"}
    assert set(REMEDIES) >= NOT_SEARCHED


@pytest.mark.parametrize("kind", ["image", "sequence", "table", "bag", "other"])
def test_parts_are_cut_from_images_and_sequences_alone(kind):
    options = space_for(kind, lambda recipe: None).options
    assert ("CutMix" in options) is (kind in ("image", "sequence"))
    assert "Mixup" in options


def test_augmentation_is_told_what_the_rows_are():
    for kind, told in (("bag", {"kind": "bag"}), ("other", {})):
        assert space_for(kind, lambda recipe: None).options["Augment"].fixed == told


def test_what_cannot_serve_by_itself_is_left_out_and_said():
    space = space_for("table", lambda recipe: "no place" if recipe[0].name == "Shrink" else None)
    assert "Shrink" not in space.options
    assert space.refused == ("Shrink was left out: no place",)


def test_of_a_dose_that_is_a_choice_only_what_serves_is_kept():
    def no_relu(recipe):
        return "it is there" if recipe[0] == RemedySpec("Activation", {"kind": "relu"}) else None

    dose = space_for("table", no_relu).options["Activation"].dose
    assert dose is not None
    assert dose.choices == ("leaky_relu", "gelu", "silu")


@pytest.mark.parametrize("name", DOSES)
@pytest.mark.parametrize("place", [-0.5, 0.0, 0.21, 0.5, 0.87, 1.0, 1.5])
def test_every_dose_is_accepted_by_its_remedy(name, place):
    spec = ALL.options[name].spec(place)
    assert getattr(from_spec(spec), DOSES[name].argument) == spec.args[DOSES[name].argument]


@pytest.mark.parametrize("name", DOSES)
def test_the_ends_of_a_dose_are_its_extremes(name):
    dose = DOSES[name]
    ends = (dose.choices[0], dose.choices[-1]) if dose.choices else (dose.low, dose.high)
    assert (dose.value(0.0), dose.value(1.0)) == pytest.approx(ends)


@given(name=st.sampled_from(sorted(DOSES)), place=st.floats(0, 1))
def test_a_dose_stands_where_it_was_put_up_to_rounding(name, place):
    dose = DOSES[name]
    value = dose.value(place)
    assert dose.value(dose.place(value)) == pytest.approx(value)
    if not dose.choices and not dose.whole:
        assert dose.place(value) == pytest.approx(place, abs=0.03)


def test_a_decay_is_measured_by_its_distance_from_one():
    dose = DOSES["WeightAverage"]
    assert dose.place(0.9) == pytest.approx(1.0)
    assert dose.place(0.9995) == pytest.approx(0.0)
    assert dose.place(0.993) == pytest.approx(0.5, abs=0.01)


def test_the_task_s_own_rate_stands_in_the_middle():
    assert RATE.place(1.0) == pytest.approx(0.5, abs=0.01)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_a_candidate_survives_the_way_through_a_trial(seed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    candidate = ALL.suggested(study.ask())
    parameters, distributions = ALL.parameters(candidate)
    again = ALL.suggested(optuna.trial.FixedTrial(parameters))
    assert parameters.keys() == distributions.keys()
    assert again.structure == candidate.structure
    assert again.rate == pytest.approx(candidate.rate, rel=0.02)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_no_suggestion_holds_rivals(seed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    held = set(ALL.suggested(study.ask()).structure)
    assert not any(rivals_of(name) & held for name in held)


def test_the_untreated_network_is_a_trial_with_everything_off():
    parameters, _ = ALL.parameters(Candidate())
    assert {v for k, v in parameters.items() if k != "rate"} == {"off"}
