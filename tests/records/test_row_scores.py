from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwell.records import RowScores

numbers = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


@given(numbers, numbers)
def test_scores_of_rows_come_back_after_a_passage_through_json(metric, loss):
    kept = RowScores(**json.loads(json.dumps(asdict(RowScores.of(metric, loss)))))
    assert kept.metrics == tuple(metric)
    assert kept.losses == tuple(loss)


def test_numbers_are_four_bytes_low_end_first_whatever_the_machine():
    assert RowScores.of([1.0, -2.5], []).metric == "AACAPwAAIMA="
    assert np.frombuffer(np.array([1.0, -2.5], "<f4").tobytes(), "<f4").tolist() == [1.0, -2.5]


def test_what_is_no_mean_over_rows_is_kept_as_nothing():
    assert RowScores().metrics == ()
    assert RowScores.of([], [0.5]).metric == ""


def test_a_thousand_rows_take_less_than_six_thousand_characters():
    assert len(RowScores.of([0.125] * 1000, []).metric) == pytest.approx(5336)
