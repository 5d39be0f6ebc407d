"""A trace keeps what it is given."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwell.errors import BadInput
from fitwell.records import Facts, LayerFact, Quantity, Row, Trace

rows = st.builds(
    Row,
    step=st.integers(0, 10**6),
    quantity=st.sampled_from(list(Quantity)),
    value=st.floats(allow_nan=False),
    module=st.text(max_size=8),
    phase=st.sampled_from(["train", "validation"]),
    epoch=st.integers(0, 100),
)


@given(st.lists(rows, max_size=5))
def test_a_trace_survives_json(recorded):
    layer = LayerFact("fc", "Linear", "hidden", 0, activation="relu", fan_in=3)
    trace = Trace(recorded, Facts(layers=(layer,), classes=10, chance_loss=2.3))
    read = Trace.from_dict(json.loads(json.dumps(trace.to_dict(), allow_nan=False)))
    assert read.rows == trace.rows
    assert read.facts == trace.facts


def test_non_finite_values_survive_saving(tmp_path):
    trace = Trace([Row(0, Quantity.LOSS, float("nan")), Row(1, Quantity.LOSS, float("-inf"))])
    trace.save(tmp_path / "t.json")
    first, second = (row.value for row in Trace.load(tmp_path / "t.json"))
    assert first != first
    assert second == float("-inf")


def test_an_unknown_quantity_in_a_file_is_skipped():
    data = Trace([Row(0, Quantity.LOSS, 1.0), Row(1, Quantity.METRIC, 2.0)]).to_dict()
    data["columns"]["quantity"][0] = "from_the_future"
    assert [row.quantity for row in Trace.from_dict(data)] == [Quantity.METRIC]


def test_another_schema_is_refused_with_a_clear_line():
    with pytest.raises(BadInput, match="Expected a trace of schema 1, got 7"):
        Trace.from_dict({"schema": 7})


def test_a_series_holds_one_quantity_of_one_module_and_phase():
    trace = Trace(
        [
            Row(0, Quantity.LOSS, 1.0),
            Row(0, Quantity.LOSS, 2.0, phase="validation"),
            Row(0, Quantity.GRADIENT_NORM, 3.0, module="fc"),
            Row(1, Quantity.LOSS, 0.5),
        ]
    )
    assert trace.series(Quantity.LOSS) == [(0, 1.0), (1, 0.5)]
    assert trace.series(Quantity.LOSS, phase="validation") == [(0, 2.0)]
    assert trace.modules(Quantity.GRADIENT_NORM) == ["fc"]


def test_a_data_frame_has_a_row_a_measurement():
    frame = Trace([Row(3, Quantity.LOSS, 0.25)]).to_pandas()
    assert frame.loc[0, ["step", "value"]].tolist() == [3, 0.25]
