"""Columns to inputs: against scikit-learn, by hand, and never from a row that is not training."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from fitwell.errors import BadInput, TaskError
from fitwell.tasks import Preprocess
from fitwell.tasks.columns import class_names, fitted, told_kind, unusable
from fitwell.tasks.encoders import ENCODERS, MAX_LEVELS, Category, Moment, Number, Text


def test_a_number_is_scaled_and_its_gaps_take_the_median_and_an_indicator() -> None:
    encoder = Number.fit("age", [1.0, None, 3.0, 8.0])
    filled = np.array([1.0, 3.0, 3.0, 8.0])
    expected = np.column_stack([(filled - filled.mean()) / filled.std(), [0, 1, 0, 0]])
    assert encoder.features == ("age", "age is missing")
    assert encoder.encode([1.0, "NA", "3", 8]) == pytest.approx(expected)


def test_a_number_without_gaps_has_no_indicator_and_still_reads_gaps_later() -> None:
    encoder = Number.fit("age", [1.0, 2.0, 3.0])
    assert encoder.encode([None, 2.0]).tolist() == [[0.0], [0.0]]


def test_a_word_in_a_column_of_numbers_is_refused_with_its_row() -> None:
    with pytest.raises(TaskError, match="'age' holds numbers, but row 2 has 'old'"):
        Number.fit("age", [1.0, 2.0]).encode([1.0, "old"])


def test_an_infinity_is_refused_when_predicting_too() -> None:
    with pytest.raises(TaskError, match="'age' must be finite"):
        Number.fit("age", [1.0, 2.0]).encode([float("inf")])


def test_frequent_categories_get_an_input_each_and_rare_ones_share_one() -> None:
    encoder = Category.fit("city", ["b", "a", "a", "b", "b", "rare", None])
    assert encoder.features == ("city = b", "city = a", "city = (other)", "city is missing")
    encoded = encoder.encode(["a", "unseen", "", "b"])
    assert encoded.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0]]


def test_an_unseen_category_leaves_zeros_where_training_had_no_rare_ones() -> None:
    assert Category.fit("city", ["a", "a", "b", "b"]).encode(["c"]).tolist() == [[0, 0]]


def test_categories_are_capped_to_the_most_frequent() -> None:
    values = [f"c{n:02d}" for n in range(50) for _ in range(60 - n)]
    encoder = Category.fit("code", values)
    assert encoder.levels == tuple(f"c{n:02d}" for n in range(MAX_LEVELS))
    assert encoder.other


def test_text_is_weighed_as_scikit_learn_does() -> None:
    texts = ["good food here", "bad food", "Good good service here", "food is bad here", ""]
    encoder = Text.fit("review", texts)
    oracle = TfidfVectorizer(min_df=2).fit(texts)
    assert encoder.words == tuple(oracle.get_feature_names_out())
    unseen = [*texts, "bad unknown words"]
    assert encoder.length == pytest.approx(np.sqrt((2 + 2 + 3 + 3) / 4))
    expected = encoder.length * oracle.transform(unseen).toarray()
    assert encoder.encode(unseen) == pytest.approx(expected)


def test_a_date_becomes_its_parts_and_those_that_never_change_are_left_out() -> None:
    encoder = Moment.fit("day", ["2024-01-31", "2024-03-01", None], "%Y-%m-%d")
    assert encoder.features == ("month of day", "day of day", "weekday of day", "day is missing")
    encoded = encoder.encode(["2024-03-01", None, date(2024, 1, 31)])
    assert encoded.tolist() == [[1, -1, 1, 0], [0, 0, 0, 1], [-1, 1, -1, 0]]


def test_a_date_of_another_format_is_refused() -> None:
    encoder = Moment.fit("day", ["2024-01-31", "2024-03-01"], "%Y-%m-%d")
    with pytest.raises(TaskError, match="dates such as 2024-03-31, but row 1 has '1 May'"):
        encoder.encode(["1 May"])


WORDS = ["one two three four", "five six seven", "eight nine ten eleven"]
COLUMNS = {
    "empty": ([None] * 40, "empty"),
    "constant": (["x"] * 40, "constant"),
    "constant with gaps": (["x", None] * 20, None),
    "row": (list(range(40)), "like an id"),
    "shuffled": ([(7 * n) % 41 for n in range(41)], "like an id"),
    "user_id": ([1000 + 37 * (n % 30) for n in range(60)], "like an id"),
    "hash": ([f"x{n:x}" for n in range(40)], "like an id"),
    "price": ([100 * n + n % 7 for n in range(40)], None),
    "share": ([n / 40 for n in range(40)], None),
    "review": ([f"{WORDS[n % 3]} {n}" for n in range(40)], None),
    "day": ([f"2024-01-{n + 1:02d}" for n in range(28)], None),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_that_tell_nothing_are_recognised(name: str) -> None:
    values, reason = COLUMNS[name]
    assert unusable(name, values) == reason


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1.5, 2.0] * 20, "number"),
        (["a", "b"] * 20, "category"),
        ([True, False] * 20, "number"),
        ([f"2024-01-{n + 1:02d}" for n in range(28)], "date"),
        ([f"{WORDS[n % 3]} {n}" for n in range(40)], "text"),
        (["x", None] * 20, "category"),
    ],
)
def test_a_column_gets_the_encoder_that_suits_it(values: list[object], kind: str) -> None:
    assert fitted("column", values).kind == kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", "b"] * 20, "classification"),
        ([True, False] * 20, "classification"),
        ([3, 4, 5] * 20, "classification"),
        ([0.5, 1.5] * 20, "classification"),
        ([0.5, 1.5, 2.5] * 20, "regression"),
        (list(range(40)), "regression"),
    ],
)
def test_classes_and_numbers_are_told_apart(values: list[object], kind: str) -> None:
    assert told_kind(values) == kind


def test_classes_that_are_numbers_are_ordered_by_size() -> None:
    assert class_names([10, 9, 9.0, 2]) == ("2", "9", "10")
    assert class_names(["b", "a", None]) == ("a", "b")


ROWS = [
    {"n": n / 3, "c": "abc"[n % 3], "t": f"{WORDS[n % 3]} {n}", "d": f"2024-01-{n % 28 + 1:02d}"}
    for n in range(40)
]


def with_target(rows: list[dict[str, object]]) -> dict[str, list[object]]:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {**columns, "y": [float(n) for n in range(len(rows))]}


def test_preprocessing_survives_json_and_reads_rows_frames_and_columns_alike() -> None:
    fitted_one, _ = Preprocess.fit(with_target(ROWS), "y")
    again = Preprocess.from_dict(json.loads(json.dumps(fitted_one.to_dict())))
    assert again == fitted_one
    assert {encoder.kind for encoder in again.encoders} == set(ENCODERS)
    expected = fitted_one.transform(with_target(ROWS))
    assert expected.shape == (40, len(fitted_one.features))
    for rows in (ROWS, pl.DataFrame(ROWS), pl.DataFrame(ROWS).to_dict(as_series=False)):
        assert again.transform(rows).equal(expected)


def test_outputs_are_named_or_given_in_the_unit_of_the_table() -> None:
    numbers, _ = Preprocess.fit(with_target(ROWS), "y")
    assert numbers.named(numbers.targets(with_target(ROWS))) == pytest.approx(range(40), abs=1e-4)
    labelled = {**with_target(ROWS), "y": ["no", "yes"] * 20}
    names, _ = Preprocess.fit(labelled, "y", classes=("no", "yes"))
    assert names.targets(labelled).tolist() == [0, 1] * 20
    outputs = numbers.transform(ROWS)[:2, :2] * 0
    outputs[1, 1] = 1.0
    assert names.named(outputs) == ["no", "yes"]


def test_rows_without_a_column_are_refused_by_its_name() -> None:
    fitted_one, _ = Preprocess.fit(with_target(ROWS), "y")
    with pytest.raises(TaskError, match="need the columns 'd': got 'n', 'c', 't'"):
        fitted_one.transform([{k: v for k, v in ROWS[0].items() if k != "d"}])
    with pytest.raises(TaskError, match="got an empty list"):
        fitted_one.transform([])


def test_preprocessing_of_another_schema_is_refused() -> None:
    with pytest.raises(BadInput, match="schema 1, got 7"):
        Preprocess.from_dict({"schema": 7})


cells = st.one_of(st.none(), st.floats(-1e6, 1e6), st.text(max_size=5))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=6) | st.none(), min_size=1, max_size=20), st.data())
def test_a_category_encodes_whatever_comes_to_at_most_one_input(values, data) -> None:
    encoder = Category.fit("c", values)
    encoded = encoder.encode(data.draw(st.lists(cells, max_size=10)))
    assert encoded.shape[1] == len(encoder.features)
    assert set(encoded.sum(1).tolist()) <= {0.0, 1.0}
