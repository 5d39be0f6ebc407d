"""Remedies are found by name."""

import pytest

from fitwell.errors import BadInput, ThresholdError
from fitwell.records import RemedySpec
from fitwell.remedies import REMEDIES, ClipNorm, by_name, from_spec


@pytest.mark.parametrize("name", ["ClipNorm", "clip_norm", "clipnorm", "clip-norm", "CLIPNORM"])
def test_a_name_may_be_written_in_several_ways(name):
    assert by_name(name) is ClipNorm


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(BadInput, match=r"Unknown remedy 'clipnrom'. Did you mean ClipNorm\?"):
        by_name("clipnrom")
    with pytest.raises(BadInput, match="known: Activation, AdaptiveClip"):
        by_name("zzzz")


def test_a_spec_makes_the_remedy_and_names_what_is_wrong_with_it():
    assert from_spec(RemedySpec("clip_norm", {"max_norm": 2.0})) == ClipNorm(2.0)
    with pytest.raises(BadInput, match="ClipNorm takes no argument 'limit': it takes max_norm"):
        from_spec(RemedySpec("ClipNorm", {"limit": 2.0}))
    with pytest.raises(ThresholdError):
        from_spec(RemedySpec("ClipNorm", {"max_norm": 0}))


@pytest.mark.parametrize("name", REMEDIES)
def test_every_remedy_works_without_arguments_and_cites_its_source(name):
    assert REMEDIES[name]().spec == RemedySpec(name)
    assert "References:" in REMEDIES[name].__doc__
    assert REMEDIES[name].seams()
