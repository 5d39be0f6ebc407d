"""A trace keeps what it is given."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fitwell.errors import BadInput
from fitwell.records import Facts, LayerFact, NormFact, Quantity, Row, Trace

rows = st.builds(
    Row,
    step=st.integers(0, 10**6),
    quantity=st.sampled_from(list(Quantity)),
    value=st.floats(allow_nan=False),
    module=st.text(max_size=8),
    phase=st.sampled_from(["train", "validation"]),
    epoch=st.integers(0, 100),
)

names = st.lists(st.text(max_size=8), max_size=3).map(tuple)
shapes = st.lists(st.integers(0, 10**6), max_size=4).map(tuple)
numbers = st.floats(allow_nan=False, allow_infinity=False)

layers = st.builds(
    LayerFact,
    name=st.text(max_size=8),
    kind=st.text(max_size=8),
    role=st.sampled_from(["hidden", "output", "recurrent"]),
    order=st.integers(0, 100),
    normalized=st.booleans(),
    gated=st.booleans(),
    bypassed=st.booleans(),
)
norms = st.builds(
    NormFact,
    name=st.text(max_size=8),
    kind=st.sampled_from(["batch", "layer", "group", "instance", "rms"]),
    calls=st.integers(1, 99),
    rows=st.integers(0, 10**6),
    recurrent=st.booleans(),
    momentum=st.floats(0, 1),
    tracks=st.booleans(),
)
every_fact = st.builds(
    Facts,
    layers=st.lists(layers, max_size=3).map(tuple),
    norms=st.lists(norms, max_size=3).map(tuple),
    output_activation=st.sampled_from(["", "softmax", "relu"]),
    output_shape=shapes,
    target_shape=shapes,
    target_kind=st.sampled_from(["", "integers", "floats", "booleans"]),
    input_kind=st.sampled_from(["", "tokens", "images", "sequences", "rows"]),
    loss_expects=st.sampled_from(["", "logits", "probabilities", "log_probabilities", "values"]),
    forgotten=names,
    frozen=names,
    mode_matters=st.booleans(),
    dropout=st.floats(0, 1),
    weight_decay=numbers,
    momentum=numbers,
    planned_steps=st.integers(0, 10**9),
    error=st.text(max_size=8),
    input_normalized=st.booleans(),
)


@given(every_fact)
def test_every_fact_survives_json(facts):
    written = json.dumps(Trace([], facts).to_dict(), allow_nan=False)
    assert Trace.from_dict(json.loads(written)).facts == facts


def test_a_file_without_the_newer_facts_is_read():
    data = Trace([], Facts(classes=3)).to_dict()
    data["facts"] = {"layers": [], "loss": "", "classes": 3}
    assert Trace.from_dict(data).facts == Facts(classes=3)


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


@given(st.lists(rows, max_size=20), st.lists(rows, max_size=3))
def test_rows_are_found_by_what_they_measure_also_after_more_were_added(before, after):
    trace = Trace(list(before))
    for more in (after, after):
        for wanted in trace:
            key = (wanted.quantity, wanted.module, wanted.phase)
            same = [r for r in trace.rows if (r.quantity, r.module, r.phase) == key]
            assert list(trace.of(*key)) == same
            assert trace.series(*key) == [(r.step, r.value) for r in same]
        trace.add(more)
    trace.rows = before[:1]
    assert sum(len(trace.of(q, r.module, r.phase)) for r in before[:1] for q in Quantity) == len(
        trace
    )


def test_asking_a_trace_leaves_it_equal_to_one_that_was_not_asked():
    asked, other = (Trace([Row(0, Quantity.LOSS, 1.0)]) for _ in range(2))
    assert asked.series(Quantity.LOSS) == [(0, 1.0)]
    assert asked == other
    assert repr(asked) == repr(other)
