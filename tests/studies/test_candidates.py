from __future__ import annotations

import pytest

from fitwell.recipe import Recipe
from fitwell.records import Diagnosis, Finding, RemedySpec
from fitwell.remedies import REMEDIES
from fitwell.studies.candidates import (
    LADDERS,
    RATES,
    TOGETHER,
    Candidate,
    first_generation,
    label,
    next_generation,
    remedies_named,
)


def found(condition, *names):
    specs = tuple(map(RemedySpec, names))
    return Finding(condition, "severe", 0.9, (), 0, {}, "", specs)


OVERFITTING = Diagnosis((found("overfitting", "Augment", "Dropout", "L2", "EarlyStopping"),))
VANISHING = Diagnosis((found("vanishing_gradients", "Activation", "Initialization", "BatchNorm"),))


def names(candidates):
    return [label(c.recipe) for c in candidates]


def test_the_classic_combination_comes_first():
    proposals = first_generation(VANISHING, remedies_named(VANISHING, "table"))
    assert names(proposals)[0] == "Activation + BatchNorm + Initialization"
    assert all(c.rate == 1.0 for c in proposals)


def test_every_named_remedy_is_tried_by_itself_and_none_twice():
    proposals = first_generation(OVERFITTING, remedies_named(OVERFITTING, "image"))
    assert {"Augment", "Dropout", "L2"} <= set(names(proposals))
    assert len(set(proposals)) == len(proposals)


def test_only_what_the_diagnosis_names_is_tried():
    proposals = first_generation(OVERFITTING, remedies_named(OVERFITTING, "image"))
    assert {s.name for c in proposals for s in c.recipe} == {"Augment", "Dropout", "L2"}


def test_what_all_findings_name_is_tried_together():
    both = Diagnosis((*VANISHING, *OVERFITTING))
    proposals = first_generation(both, remedies_named(both, "table"))
    union = {"Activation", "BatchNorm", "Dropout", "Initialization", "Augment", "L2"}
    assert any({s.name for s in candidate.recipe} == union for candidate in proposals)


def test_a_condition_without_a_table_row_takes_what_its_finding_names():
    diagnosis = Diagnosis((found("dead_units", "Activation", "Initialization", "ClipNorm"),))
    proposals = first_generation(diagnosis, remedies_named(diagnosis, "table"))
    assert names(proposals)[0] == "Activation + Initialization"


def test_a_healthy_diagnosis_proposes_nothing():
    assert first_generation(Diagnosis(), remedies_named(Diagnosis(), "table")) == []


def test_augmentation_is_told_what_the_rows_are():
    assert remedies_named(OVERFITTING, "bag")["Augment"].args["kind"] == "bag"
    assert remedies_named(OVERFITTING, "other")["Augment"].args.keys() == {"strength"}


@pytest.mark.parametrize("kind", ["image", "sequence", "table", "bag", "other"])
def test_parts_are_cut_from_images_and_sequences_alone(kind):
    named = remedies_named(Diagnosis((found("overfitting", "Mixup", "CutMix"),)), kind)
    assert ("CutMix" in named) is (kind in ("image", "sequence"))
    assert "Mixup" in named


def test_a_dose_that_the_diagnosis_names_is_kept():
    diagnosis = Diagnosis(
        (Finding("overfitting", "mild", 1, (), 0, {}, "", (RemedySpec("Dropout", {"rate": 0.6}),)),)
    )
    assert remedies_named(diagnosis, "table")["Dropout"].args == {"rate": 0.6}


def test_rivals_never_share_a_recipe():
    diagnosis = Diagnosis(
        (
            found(
                "exploding_gradients",
                *("ClipNorm", "ClipValue", "LayerNorm", "AdaptiveClip", "PercentileClip"),
            ),
            found("overfitting", "Mixup", "CutMix"),
            found("vanishing_gradients", "BatchNorm"),
            found("overfitting", "GroupNorm"),
        )
    )
    named = remedies_named(diagnosis, "image")
    proposals = first_generation(diagnosis, named)
    grown = next_generation(proposals, named, proposals, size=1000, number=1)
    for candidate in [*proposals, *grown]:
        held = {s.name for s in candidate.recipe}
        assert len({"ClipNorm", "ClipValue", "AdaptiveClip", "PercentileClip"} & held) < 2
        assert not {"Mixup", "CutMix"} <= held
        assert len({"BatchNorm", "GroupNorm", "LayerNorm"} & held) < 2


def test_a_generation_is_the_same_every_time_and_brings_nothing_twice():
    named = remedies_named(OVERFITTING, "image")
    proposals = first_generation(OVERFITTING, named)
    one = next_generation(proposals[:3], named, proposals, size=8, number=1)
    assert one == next_generation(proposals[:3], named, proposals, size=8, number=1)
    assert one != next_generation(proposals[:3], named, proposals, size=8, number=2)
    assert len(one) == 8
    assert not set(one) & set(proposals)


def test_variations_move_one_thing_at_a_time():
    dropout = RemedySpec("Dropout", {"rate": 0.5})
    leader = Candidate((dropout,), 1.0)
    named = {"Dropout": dropout, "L2": RemedySpec("L2")}
    grown = set(next_generation([leader], named, [], size=100, number=1))
    assert grown == {
        Candidate((dropout,), 0.3),
        Candidate((dropout,), 3.0),
        Candidate((RemedySpec("Dropout", {"rate": 0.35}),), 1.0),
        Candidate((RemedySpec("Dropout", {"rate": 0.65}),), 1.0),
        Candidate(Recipe(dropout, RemedySpec("L2")).specs, 1.0),
    }


def test_the_untreated_network_varies_in_its_rate_alone():
    grown = next_generation([Candidate()], {"L2": RemedySpec("L2")}, [], size=9, number=1)
    assert {c.rate for c in grown} == {0.3, 3.0}
    assert all(not c.recipe for c in grown)


def test_rates_end_at_the_ends_of_their_ladder():
    assert Candidate((), RATES[0]).at(-1) is None
    assert Candidate((), RATES[-1]).at(1) is None


@pytest.mark.parametrize("name", LADDERS)
def test_every_dose_of_every_ladder_is_accepted_by_its_remedy(name):
    argument, default, steps = LADDERS[name]
    assert getattr(REMEDIES[name](), argument) == default
    for dose in steps:
        assert getattr(REMEDIES[name](**{argument: dose}), argument) == dose


def test_every_combination_is_of_known_remedies():
    for plans in TOGETHER.values():
        assert all(name in REMEDIES for plan in plans for name in plan)
