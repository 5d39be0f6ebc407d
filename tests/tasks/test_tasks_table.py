"""Tables: read as they come, split without leaks, learned from training rows alone."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

from fitwell.errors import TaskError
from fitwell.tasks import Task, from_frame, load
from fitwell.tasks.reading import read_table

WORDS = "good bad awful nice great food, service place price waiter table meal".split()
HEADER = ["id", "day", "city", "size", "review", "const", "label"]


def rows_of(count: int = 200) -> list[list[str]]:
    draw = random.Random(0)
    rows = []
    for number in range(count):
        good = draw.random() < 0.5
        rows.append(
            [
                str(number + 1),
                f"2023-{draw.randint(1, 12):02d}-{draw.randint(1, 28):02d}",
                draw.choice(["Rome", "Bern", "", "Köln"]),
                draw.choice(["", "NA", "null", "NaN", "3.5", "2.25", "-1"]),
                " ".join(draw.choice(WORDS) for _ in range(8))
                + (" superb" if good else " dreadful"),
                "same",
                "" if number % 50 == 7 else "yes" if good else "no",
            ]
        )
    return rows


def spelled(rows: list[list[str]], delimiter: str = ",") -> str:
    quoted = [[f'"{c}"' if delimiter in c else c for c in row] for row in rows]
    return "\n".join(delimiter.join(row) for row in quoted) + "\n"


@pytest.fixture
def csv(tmp_path: Path) -> Path:
    path = tmp_path / "visits.csv"
    path.write_text(spelled([HEADER, *rows_of()]), encoding="utf-8")
    return path


def test_a_table_with_text_gaps_and_classes_needs_the_target_alone(csv: Path) -> None:
    task = load(str(csv), column="label")
    task.check()
    assert (task.name, task.data.classes, task.metric_name) == ("visits", ("no", "yes"), "accuracy")
    assert task.data.kind == "table"
    assert task.record().rows == (118, 39, 39)
    assert "4 of 200 rows have no target ('label') and were dropped." in task.data.notes
    assert "Column 'id' was left out: it is like an id." in task.data.notes
    assert "Column 'const' was left out: it is constant." in task.data.notes


def test_its_text_can_be_learned_from(csv: Path) -> None:
    task = load(str(csv), column="label")
    torch.manual_seed(0)
    model = task.make_model()
    optimizer = task.make_optimizer(model.parameters())
    for _ in range(30):
        optimizer.zero_grad()
        task.loss_fn(model(task.data.train.x), task.data.train.y).backward()
        optimizer.step()
    assert task.metric_fn(model(task.data.test.x), task.data.test.y) > 0.85


@pytest.mark.parametrize(
    ("delimiter", "encoding"),
    [(";", "utf-8-sig"), ("\t", "utf-16"), ("|", "cp1252"), (",", "utf-16-le"), (",", "cp1252")],
)
def test_delimiter_and_encoding_are_found(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = tmp_path / "visits.csv"
    path.write_bytes(spelled([HEADER, *rows_of()], delimiter).encode(encoding))
    frame, _ = read_table(path)
    assert frame.columns == HEADER
    assert frame["city"].drop_nulls().unique().sort().to_list() == ["Bern", "Köln", "Rome"]
    assert frame["size"].dtype == pl.Float64


def read(tmp_path: Path, text: str) -> pl.DataFrame:
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return read_table(path)[0]


def test_quotes_hold_delimiters_line_breaks_and_quotes(tmp_path: Path) -> None:
    frame = read(tmp_path, 'a,b\r\n"x, y","say ""hi"""\r\n"two\nlines",z\r\n')
    assert frame.rows() == [("x, y", 'say "hi"'), ("two\nlines", "z")]


def test_decimal_commas_and_thousands_are_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, "a;b\n1,5;x\n1.234,25;y\n").rows() == [(1.5, "x"), (1234.25, "y")]
    assert read(tmp_path, 'a,b\n"1,500",x\n"12,345.5",y\n')["a"].to_list() == [1500.0, 12345.5]


def test_codes_with_leading_zeros_stay_codes(tmp_path: Path) -> None:
    assert read(tmp_path, "zip,b\n01234,x\n00501,y\n")["zip"].to_list() == ["01234", "00501"]


def test_a_few_words_among_numbers_count_as_missing_and_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    cells = [str(n / 2) for n in range(99)]
    path.write_text("a,b\n" + "".join(f"{c},x\n" for c in [*cells, "broken"]))
    frame, notes = read_table(path)
    assert frame["a"].null_count() == 1
    assert notes == (
        "Column 'a' holds numbers; 1 cells that are none ('broken') count as missing.",
    )


def test_parquet_reads_as_csv_does(csv: Path, tmp_path: Path) -> None:
    frame = pl.DataFrame(rows_of(), schema=HEADER, orient="row")
    frame.write_parquet(tmp_path / "visits.parquet")
    of_csv, of_parquet = (
        load(str(path), column="label").data for path in (csv, tmp_path / "visits.parquet")
    )
    assert of_csv.fingerprint == of_parquet.fingerprint


def test_pandas_and_polars_frames_read_alike() -> None:
    columns = {"x": np.arange(60.0) ** 1.5, "c": ["u", "v", None] * 20, "y": np.arange(60) % 2}
    of_pandas = from_frame(pd.DataFrame(columns), "y").data
    assert of_pandas.fingerprint == from_frame(pl.DataFrame(columns), "y").data.fingerprint
    assert of_pandas.classes == ("0", "1")


def raw_rows_of(task: Task, frame: pl.DataFrame) -> dict[str, list[int]]:
    """Row numbers of every side, read back from a column that tells rows apart."""
    assert task.data.preprocess is not None
    x = task.data.preprocess.transform(frame)
    places = {row.numpy().tobytes(): number for number, row in enumerate(x)}
    return {
        side: [places[row.numpy().tobytes()] for row in split.x]
        for side, split in task.data.splits.items()
    }


def test_rows_that_are_not_training_change_nothing_in_the_preprocessing() -> None:
    draw = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "x": draw.normal(size=120),
            "c": draw.choice(["u", "v", "w"], 120),
            "t": [f"{WORDS[n % 12]} {WORDS[n % 5]} {WORDS[n % 7]} {n}" for n in range(120)],
            "y": draw.normal(size=120),
        }
    )
    task = from_frame(frame, "y")
    held_out = sorted(set(range(120)) - set(raw_rows_of(task, frame)["training"]))
    changed = frame.with_row_index("n").with_columns(
        pl.when(pl.col("n").is_in(held_out)).then(pl.col("x") * 1000).otherwise("x").alias("x"),
        pl.when(pl.col("n").is_in(held_out)).then(pl.lit("new")).otherwise("c").alias("c"),
        pl.when(pl.col("n").is_in(held_out))
        .then(pl.col("t") + " wholly unheard words")
        .otherwise("t")
        .alias("t"),
    )
    again = from_frame(changed.drop("n"), "y")
    assert again.data.preprocess == task.data.preprocess
    assert not torch.equal(again.data.test.x, task.data.test.x)


def test_equal_rows_stay_on_one_side_though_their_ids_differ() -> None:
    x = np.repeat(np.random.default_rng(0).normal(size=50), 3)
    frame = pl.DataFrame({"id": range(150), "x": x, "y": np.arange(150) % 2})
    data = from_frame(frame, "y").data
    held = [set(split.x[:, 0].tolist()) for split in data.splits.values()]
    assert sum(map(len, held)) == len(set.union(*held))
    assert any(note.startswith("100 rows repeat another") for note in data.notes)


def test_a_group_stays_on_one_side_and_is_no_input() -> None:
    groups = np.random.default_rng(0).integers(0, 12, 120)
    frame = pl.DataFrame({"g": groups, "x": np.arange(120.0) ** 1.1, "y": np.arange(120) % 2})
    task = from_frame(frame, "y", group="g")
    assert task.data.preprocess is not None
    assert task.data.preprocess.features == ("x",)
    held = [set(groups[rows].tolist()) for rows in raw_rows_of(task, frame).values()]
    assert sum(map(len, held)) == len(set.union(*held))


@pytest.mark.parametrize("spell", [str, lambda n: f"{n % 28 + 1:02d}.{n // 28 + 1:02d}.2024"])
def test_the_earliest_rows_train_and_the_latest_test(spell) -> None:
    times = np.random.default_rng(0).permutation(120)
    when = [spell(t) if spell is not str else float(t) for t in times.tolist()]
    frame = pl.DataFrame({"t": when, "x": np.arange(120.0) ** 1.1, "y": np.arange(120) % 2})
    sides = raw_rows_of(from_frame(frame, "y", time="t"), frame)
    assert sorted(times[sides["training"]].tolist()) == list(range(72))
    assert sorted(times[sides["test"]].tolist()) == list(range(96, 120))


def test_later_copies_of_earlier_rows_are_dropped_and_counted() -> None:
    x = np.concatenate([np.arange(100.0) ** 1.1, [0.0, 1.0]])
    frame = pl.DataFrame({"t": range(102), "x": x, "y": np.arange(102) % 2})
    data = from_frame(frame, "y", time="t").data
    assert "2 later rows repeat rows of an earlier side and were dropped." in data.notes


def test_rare_classes_stand_on_every_side() -> None:
    labels = ["common"] * 90 + ["rare"] * 3
    data = from_frame(pl.DataFrame({"x": np.arange(93.0) ** 1.1, "y": labels}), "y").data
    assert all(1 in split.y.tolist() for split in data.splits.values())


def test_where_one_class_dominates_balanced_accuracy_is_scored_and_said() -> None:
    labels = ["yes" if n % 100 == 0 else "no" for n in range(400)]
    task = from_frame(pl.DataFrame({"x": np.arange(400.0) ** 1.1, "y": labels}), "y")
    assert task.metric_name == "balanced_accuracy"
    assert any("99 % of the rows are of class 'no': accuracy" in n for n in task.data.notes)


def test_numbers_are_learned_scaled_and_scored_in_their_own_unit() -> None:
    x = np.linspace(0, 1, 100)
    task = from_frame(pl.DataFrame({"x": x, "y": 1000 + 50 * x}), "y")
    train = task.data.train
    assert (task.loss_name, task.metric_name) == ("mse", "r2")
    assert float(train.y.mean()) == pytest.approx(0, abs=1e-6)
    assert float(train.y.std(correction=0)) == pytest.approx(1, abs=1e-5)
    in_unit = Task("mae", task.make_model, task.data, "mse", "mae")
    one_off = train.y + 1 / task.data.preprocess.scale
    assert in_unit.metric_fn(one_off, train.y) == pytest.approx(1.0, abs=1e-4)


def test_the_kind_of_learning_can_be_chosen() -> None:
    frame = pl.DataFrame({"x": np.arange(60.0) ** 1.1, "y": np.arange(60) % 3})
    assert from_frame(frame, "y").data.classes == ("0", "1", "2")
    assert from_frame(frame, "y", kind="regression").loss_name == "mse"


LINES = {name: [str(n * 1.5) for n in range(40)] for name in "ab"}
BAD_FILES = {
    "No target column 'lable': the columns are 'id'.*Did you mean 'label'": None,
    "is no CSV table": "Dear all,\nthis is a letter, with commas, many.\n\nIt goes on\nBest",
    "duplicate column names: 'lable'": "lable,x,lable\n1,2,3\n",
    "line 3 has 3: quote": "x,lable\n1,2\n1,2,3\n" + "1,2\n" * 40,
    "is empty": "",
    "no rows below": "x,lable\n",
    "'x' must be finite, but 1 value is infinite .*row 3": "x,lable\n"
    + "".join(f"{'-inf' if n == 2 else n},{n % 2}\n" for n in range(40)),
    "must be finite": "x,lable\n" + "".join(f"{n},{n * 1.5 if n else 'inf'}\n" for n in range(40)),
    "all 40 rows are of class 'u'": "x,lable\n" + "".join(f"{n / 3},u\n" for n in range(40)),
    "'v' has one": "x,lable\n" + "".join(f"{n / 3},{'v' if n == 5 else 'u'}\n" for n in range(40)),
    "At least 30 rows are needed .*, got 29": "x,lable\n"
    + "".join(f"{n / 3},{n % 2}\n" for n in range(29)),
    "No column but the target 'lable' tells rows apart: 'x': constant": "x,lable\n"
    + "".join(f"1,{n % 2}\n" for n in range(40)),
}


@pytest.mark.parametrize("said", BAD_FILES)
def test_a_table_that_cannot_be_used_is_refused_in_one_line(
    said: str, csv: Path, tmp_path: Path
) -> None:
    path, text = csv, BAD_FILES[said]
    if text is not None:
        path = tmp_path / "bad.csv"
        path.write_text(text)
    with pytest.raises(TaskError, match=said) as refusal:
        load(str(path), column="lable")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", ["bytes.csv", "bytes.parquet"])
def test_bytes_that_are_no_table_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(256)) * 20)
    with pytest.raises(TaskError, match=r"is no text file|as a table"):
        load(str(tmp_path / name), column="y")


BAD_CHOICES = {
    "split by group or by time, not by both": {"group": "g", "time": "t"},
    "No group column 'h'": {"group": "h"},
    "No time column 'h'": {"time": "h"},
    "time column 'g' must hold numbers or dates": {"time": "g"},
    "'y' cannot also split": {"group": "y"},
    "kind must be classification or regression, got 'ranking'": {"kind": "ranking"},
    "regression needs numbers, but the target 'y' holds 'u'": {"kind": "regression"},
    "in 2 separate groups": {"group": "g"},
}


@pytest.mark.parametrize("said", BAD_CHOICES)
def test_choices_that_cannot_be_followed_are_refused(said: str) -> None:
    frame = pl.DataFrame(
        {
            "g": ["p", "q"] * 20,
            "t": range(40),
            "x": np.arange(40.0) ** 1.1,
            "y": ["u", "u", "v", "v"] * 10,
        }
    )
    with pytest.raises(TaskError, match=said):
        from_frame(frame, "y", **BAD_CHOICES[said])
