"""Passes in the wrong mode, where the mode matters."""

import pytest

from fitwell.detectors import WrongMode
from fitwell.records import Facts, NormFact, Quantity, Row, Trace
from fitwell.testing import DetectorContract

NORM = NormFact("norm", "batch", rows=32, momentum=0.1, tracks=True)


def modes(training, validation=(), *, losses=True, **facts):
    rows = [Row(s, Quantity.TRAINING_MODE, m) for s, m in enumerate(training)]
    for step, mode in enumerate(validation):
        rows.append(Row(step, Quantity.TRAINING_MODE, mode, phase="validation"))
        if losses:
            rows.append(Row(step, Quantity.LOSS, 1.0, phase="validation"))
    return Trace(rows, Facts(**({"mode_matters": True, "norms": (NORM,)} | facts)))


class TestWrongMode(DetectorContract):
    def detector(self):
        return WrongMode()

    def sick(self):
        return modes([1] + [0] * 9, [0] * 5)

    def healthy(self):
        return modes([1] * 10, [0] * 5)


def found(trace):
    return [(f.severity, f.phrase, f.since) for f in WrongMode().detect(trace)]


def test_eval_that_is_never_taken_back_is_found_with_the_step_it_began_at():
    assert found(modes([1, 1, 1, *[0] * 7])) == [("moderate", "training in evaluation mode", 3)]
    assert found(modes([0] * 10)) == [("moderate", "training in evaluation mode", None)]


def test_a_few_passes_in_evaluation_mode_are_none():
    assert not found(modes([0, 0, 0, *[1] * 9]))
    assert not found(modes([1, 0] * 6))


def test_evaluations_in_training_mode_are_found():
    assert found(modes([1] * 10, [1] * 4)) == [("moderate", "evaluation in training mode", 0)]
    assert not found(modes([1] * 10, [1])), "a single one may be anything"


def test_passes_without_validation_losses_are_mild():
    assert found(modes([1] * 10, [1] * 4, losses=False))[0][0] == "mild"


def test_dropout_that_is_drawn_beside_evaluations_in_evaluation_mode_is_none():
    assert not found(modes([1] * 10, [0, 1, 1, 1] * 3))


@pytest.mark.parametrize("validation", [[], [1] * 4])
def test_where_the_mode_does_not_matter_it_is_silent(validation):
    trace = modes([0] * 10, validation, mode_matters=False, norms=())
    assert not found(trace)
    assert WrongMode().unjudged(trace) is None


def test_batch_norms_are_named_and_what_becomes_of_their_statistics():
    (finding,) = WrongMode().detect(modes([1] * 4, [1] * 4))
    assert finding.layers == ("norm",)
    assert "keeps them" in finding.explanation
    (finding,) = WrongMode().detect(modes([1] * 4, [1] * 4, norms=()))
    assert "dropout" in finding.explanation
