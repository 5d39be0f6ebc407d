from __future__ import annotations

import itertools
from collections import Counter
from random import Random

import pytest

from fitwell.records import Diagnosis, Finding, RemedySpec
from fitwell.studies.candidates import Candidate, rivals_of
from fitwell.studies.search.blind import Blind
from fitwell.studies.search.prior import prior_of
from fitwell.studies.search.proposals import Guided, weighted_order
from fitwell.studies.search.space import space_for

SPACE = space_for("image", lambda recipe: None)
SICK = Diagnosis(
    (
        Finding(
            *("overfitting", "severe", 0.9, (), 0, {}, ""),
            tuple(map(RemedySpec, ("Augment", "Dropout", "L2", "BatchNorm", "Mixup", "CutMix"))),
        ),
    )
)


def guided(seed=0):
    return Guided(SPACE, prior_of(SICK, SPACE), seed=seed)


def tried_by(proposer, generations, size=6):
    """Candidates in an order that no proposer had a hand in."""
    tried = list(proposer.first())
    for number in range(1, generations):
        tried += proposer.next(tried, size=size, number=number)
    return sorted(tried, key=lambda c: (len(c.recipe), str(c)))


PROPOSERS = [guided, lambda seed=0: Blind(SPACE, seed=seed)]


@pytest.mark.parametrize("make", PROPOSERS)
def test_proposals_are_the_same_for_a_seed_and_others_for_another(make):
    tried = tried_by(make(), 4)
    one = make().next(tried, size=8, number=4)
    assert one == make().next(tried, size=8, number=4)
    assert one != make().next(tried, size=8, number=5)
    assert one != make(seed=1).next(tried, size=8, number=4)


@pytest.mark.parametrize("make", PROPOSERS)
def test_a_generation_has_its_size_and_brings_nothing_twice(make):
    tried = tried_by(make(), 4)
    proposed = make().next(tried, size=9, number=4)
    assert len(proposed) == len(set(proposed)) == 9
    assert not set(proposed) & set(tried)


@pytest.mark.parametrize("make", PROPOSERS)
def test_no_proposal_holds_rivals_or_nothing(make):
    for candidate in tried_by(make(), 8):
        held = set(candidate.structure)
        assert held
        assert not any(rivals_of(name) & held for name in held)


def test_the_first_generation_is_what_the_prior_plans_at_the_doses_to_begin_with():
    first = guided().first()
    assert {s.name: s.args for s in first[0].recipe} == {
        "BatchNorm": {},
        "Dropout": {"rate": 0.35},
        "Augment": {"strength": 0.3, "kind": "image"},
        "L2": {},
    }
    assert all(candidate.rate == 1.0 for candidate in first)
    assert len(first) == 8


def test_what_the_diagnosis_names_is_proposed_more_often_than_the_rest():
    counts = Counter(n for c in tried_by(guided(), 10) for n in c.structure)
    named = [counts[n] for n in ("Augment", "Dropout", "L2", "BatchNorm")]
    others = [counts[n] for n in SPACE.options if n in ("ClipNorm", "LSUV", "ScaleInputs")]
    assert min(named) > max(others)


def test_every_remedy_of_the_space_is_within_reach():
    drawn = itertools.islice(guided()._drawn(Random(0)), 2000)
    assert {name for c in drawn for name in c.structure} == set(SPACE.options)


def test_variations_differ_from_their_leader_by_one_thing():
    leader = Candidate((RemedySpec("Dropout", {"rate": 0.35}), RemedySpec("L2")), 1.0)
    for other in guided()._around(leader, Random(0)):
        before, after = ({s.name: s for s in c.recipe} for c in (leader, other))
        changed = [n for n in before.keys() | after.keys() if before.get(n) != after.get(n)]
        assert len(changed) + (other.rate != leader.rate) == 1


def test_results_are_learned_from():
    def merit(candidate):
        return "WeightAverage" in candidate.structure

    proposer = guided()
    tried = tried_by(proposer, 4)
    for number in range(4, 10):
        tried += proposer.next(tried, size=6, number=number)
        tried.sort(key=lambda c: (not merit(c), str(c)))
    late = proposer.next(tried, size=6, number=99)
    assert sum(map(merit, late)) >= 3


def test_a_heavy_key_mostly_comes_first():
    weights = {"heavy": 9.0, "light": 1.0}
    firsts = Counter(weighted_order(weights, Random(seed))[0] for seed in range(2000))
    assert firsts["heavy"] / 2000 == pytest.approx(0.9, abs=0.03)
