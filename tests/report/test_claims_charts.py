"""Every kind of picture, drawn from few numbers that are known."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from collections.abc import Sequence
from csv import DictReader
from io import BytesIO, StringIO
from typing import Any

import pytest
from PIL import Image

from fitwell.claims import Claim, Close, Larger, Smaller
from fitwell.records import Arrows, Bars, Heat, Histogram, Images, Lines, Measured, Units
from fitwell.report.charts import Figure, evidence_figure, picture_figure

PICTURES = (
    Lines("Curves", "step", "size", (("a", 1.0, 2.0), ("a", 2.0, 4.0), ("b", 1.0, 3.0, 2.5, 3.5))),
    Bars("Bars", "layer", "norm", (("1", "sigmoid", 1e-6), ("1", "ReLU", 0.5)), log_y=True),
    Histogram("Weights", "weight", {"plain": (0.5, -0.5, 0.1), "L1": (0.0, 0.0, 0.3)}),
    Heat("Cells", "unit", "row", (("r1", "u1", 1.0), ("r1", "u2", math.nan)), cut="rows"),
    Units("Units", ((True, False, True), (True,))),
    Arrows("Arrows", (("long", 3.0, 4.0),), 1.0),
    Images("Images", (("seven", ((0.0, 1.0), (0.5, 0.25))),)),
)


def rows(figure: Figure, panel: int = 0) -> list[dict[str, str]]:
    """What a panel draws, as its reader gets it as CSV."""
    return list(DictReader(StringIO(figure.panels[panel].csv)))


def marks(figure: Figure, panel: int = 0) -> list[str]:
    spec = figure.panels[panel].spec
    return [layer["mark"].get("style", "") for layer in spec.get("layer", [spec])]


def aids(figure: Figure, panel: int = 0) -> list[dict[str, Any]]:
    """Rows that only help to draw: edges, names, shades."""
    layers = figure.panels[panel].spec["layer"]
    return [row for layer in layers for row in layer.get("data", {}).get("values", [])]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: type(picture).__name__)
def test_every_kind_of_picture_is_drawn_told_in_words_and_given_as_numbers(picture: Any) -> None:
    figure = picture_figure(picture)
    assert figure.title == picture.title
    assert figure.caption.startswith("How to read it:")
    assert len(figure.alternative) > 5
    assert all(len(row) == len(figure.data.columns) for row in figure.data.rows)
    assert "NaN" not in json.dumps([panel.spec for panel in figure.panels])
    assert "#" not in json.dumps([panel.spec for panel in figure.panels])  # colours are the page's


def test_another_kind_of_picture_is_refused() -> None:
    with pytest.raises(TypeError, match="no figure draws a int"):
        picture_figure(3)  # type: ignore[arg-type]


def test_a_curve_of_zero_has_no_place_on_a_logarithmic_axis() -> None:
    picture = Lines("Curves", "x", "y", (("a", 1.0, 0.0), ("a", 2.0, 1e-9)), log_y=True)
    figure = picture_figure(picture)
    assert [row["y"] for row in rows(figure)] == ["1e-09"]
    assert "logarithmic" in figure.caption


def test_a_long_curve_has_a_short_table_and_all_its_numbers_as_csv() -> None:
    figure = picture_figure(Lines("t", "x", "y", tuple(("a", float(i), 1.0) for i in range(500))))
    assert len(figure.data.rows) <= 60
    assert len(rows(figure)) == 500
    assert "knot" not in marks(figure)


def test_values_are_binned_and_exact_zeros_are_a_bar_of_their_own() -> None:
    values = tuple(n / 1000 for n in range(-2000, 2001))
    figure = picture_figure(Histogram("t", "w", {"a": values, "b": (0.0,) * 9 + (1.0,)}))
    plain, sparse = rows(figure), rows(figure, 1)
    assert len(plain) < 50
    assert sum(int(row["count"]) for row in plain) == 4001
    assert [row["count"] for row in plain if row["state"] == "exactly zero"] == ["1"]
    assert [row["count"] for row in sparse if row["state"] == "exactly zero"] == ["9"]
    assert figure.panels[1].heading == "b: 9 of 10 values are exactly 0"
    domains = [
        panel.spec["layer"][0]["encoding"]["x"]["scale"]["domain"] for panel in figure.panels
    ]
    assert domains[0] == domains[1]


def test_a_far_value_is_counted_at_the_end_and_does_not_stretch_the_axis() -> None:
    values = (*(n / 1000 for n in range(1, 1001)), 500.0)
    figure = picture_figure(Histogram("t", "w", {"a": values}))
    assert sum(int(row["count"]) for row in rows(figure)) == 1001
    assert float(rows(figure)[-1]["high"]) < 2


def test_a_histogram_of_zeros_alone_is_drawn() -> None:
    assert [
        row["count"] for row in rows(picture_figure(Histogram("t", "w", {"a": (0.0,) * 3})))
    ] == ["3"]


def test_cells_that_are_taken_together_are_outlined() -> None:
    cells = tuple((f"r{i}", f"u{j}", float(i + j)) for i in range(4) for j in range(3))
    by_row = picture_figure(Heat("t", "unit", "row", cells, cut="rows", written=True))
    by_column = picture_figure(Heat("t", "unit", "row", cells, cut="columns"))
    assert aids(by_row) == [{"row": f"r{i}"} for i in range(4)]
    assert aids(by_column) == [{"column": f"u{j}"} for j in range(3)]
    assert "each row by itself" in by_row.caption
    assert "on_bright" in marks(by_row)
    assert "on_bright" not in marks(by_column)


def test_lines_join_only_units_that_are_there() -> None:
    figure = picture_figure(Units("t", ((True, False, True), (False, True))))
    assert len(aids(figure)) == 2
    assert [row["state"] for row in rows(figure)] == ["there", "off", "there", "off", "there"]
    assert figure.alternative == "Layer 1: 2 of 3 are there. Layer 2: 1 of 2 are there."


def test_an_arrow_keeps_its_direction_because_both_axes_have_one_scale() -> None:
    spec = picture_figure(Arrows("t", (("g", 3.0, 4.0), ("clipped", 0.6, 0.8)), 1.0)).panels[0].spec
    x, y = (spec["layer"][1]["encoding"][axis]["scale"]["domain"] for axis in "xy")
    assert x[1] - x[0] == pytest.approx(y[1] - y[0])
    assert spec["width"] == spec["height"]


def test_an_image_is_a_sharp_png_of_its_pixels() -> None:
    (shown,) = (row for row in aids(picture_figure(PICTURES[-1])) if "url" in row)
    image = Image.open(BytesIO(b64decode(shown["url"].partition(",")[2])))
    side = image.size[0] // 2
    assert side >= 56
    assert [image.getpixel((x, y)) for y in (0, side) for x in (0, side)] == [255, 0, 128, 191]


def record(*expects: Any, values: dict[str, tuple[float, ...]]) -> Any:
    def experiment(seeds: Sequence[int]) -> Measured:
        return Measured({"score": values})

    texts = dict.fromkeys(("title", "question", "data", "explanation", "torch", "keras"), "text")
    claim = Claim(number=1, name="one", experiment=experiment, expects=expects, seeds=4, **texts)
    return claim.run()


VALUES = {"plain": (1.0, 2.0, 3.0, 4.0), "treated": (2.0, 3.1, 4.0, 5.1)}


@pytest.mark.parametrize(
    ("expectation", "low", "high"),
    [
        (Larger("treated", "plain", of="score", by=0.5), 0.5, math.inf),
        (Smaller("treated", "plain", of="score"), -math.inf, 0.0),
        (Close("treated", "plain", of="score", within=0.2), -0.2, 0.2),
        (Larger("treated", 1.5, of="score"), 0.0, math.inf),
    ],
)
def test_the_side_where_an_effect_is_expected_is_shaded(
    expectation: Any, low: float, high: float
) -> None:
    figure = evidence_figure(record(expectation, values=VALUES), "score")
    (shade,) = (row for row in aids(figure, 1) if "from" in row)
    domain = figure.panels[1].spec["layer"][0]["encoding"]["x"]["scale"]["domain"]
    assert shade["from"] == (domain[0] if low == -math.inf else low)
    assert shade["to"] == (domain[1] if high == math.inf else high)


def test_evidence_shows_every_seed_of_every_arm_and_every_difference() -> None:
    figure = evidence_figure(record(Larger("treated", "plain", of="score"), values=VALUES), "score")
    assert [float(row["value"]) for row in rows(figure)] == [*VALUES["plain"], *VALUES["treated"]]
    found = [float(row["value"]) for row in rows(figure, 1) if row["value"]]
    assert found == pytest.approx([1.0, 1.1, 1.0, 1.1])
    assert "treated larger than plain: +1.05" in figure.alternative


def test_a_measure_that_spans_powers_of_ten_is_drawn_on_a_logarithmic_axis() -> None:
    values = {"plain": (1e-6, 1e-5, 1e-4, 1e-3), "treated": (1.0, 2.0, 1.0, 2.0)}
    figure = evidence_figure(record(Larger("treated", "plain", of="score"), values=values), "score")
    assert '"type": "log"' in json.dumps(figure.panels[0].spec)
    assert '"type": "log"' not in json.dumps(figure.panels[1].spec)
