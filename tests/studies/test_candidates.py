from __future__ import annotations

import pytest

from fitwell.records import RemedySpec
from fitwell.studies.candidates import RATES, Candidate, combined, label


def test_rates_end_at_the_ends_of_their_ladder():
    assert Candidate((), RATES[0]).at(-1) is None
    assert Candidate((), RATES[-1]).at(1) is None


def test_a_rate_between_two_steps_moves_to_a_neighbour_of_the_nearest():
    assert Candidate((), 1.2).at(1) == Candidate((), 3.0)
    assert Candidate((), 1.2).at(-1) == Candidate((), 0.3)


def test_the_job_of_a_candidate_may_be_the_beginning_of_its_run():
    candidate = Candidate((RemedySpec("L2"),), 0.3)
    whole, part = candidate.job(7), candidate.job(7, 2)
    assert (whole.recipe, whole.rate, whole.epochs, whole.arm) == (
        candidate.recipe,
        0.3,
        None,
        "L2",
    )
    assert part.epochs == 2
    assert part.key != whole.key


def test_an_empty_recipe_is_the_untreated_network():
    assert label(()) == "untreated"


@pytest.mark.parametrize(
    ("first", "second"),
    [("BatchNorm", "LayerNorm"), ("ClipNorm", "ClipValue"), ("Mixup", "CutMix")],
)
def test_rivals_never_share_a_recipe_and_the_first_stays(first, second):
    recipe = combined((RemedySpec(first), RemedySpec("L2"), RemedySpec(second)))
    assert {spec.name for spec in recipe} == {first, "L2"}


def test_a_recipe_has_one_order_whatever_order_it_is_given_in():
    specs = [RemedySpec(n) for n in ("ClipNorm", "Dropout", "BatchNorm", "L2")]
    assert combined(specs) == combined(reversed(specs))
