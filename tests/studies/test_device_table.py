from __future__ import annotations

import json

import pytest

from fitwell.errors import BadInput
from fitwell.studies.device_table import DeviceTable, Load, Point, own_file, table_for

TABLE = DeviceTable(
    "cpu",
    (
        Point(Load("chain", 3, 5_000, 10_000), {1: 1.0, 2: 1.8, 4: 3.0, 8: 3.05}),
        Point(Load("chain", 3, 500_000, 10_000_000), {1: 1.0, 2: 0.8}),
        Point(Load("convolution", 3, 5_000, 10_000), {1: 1.0, 2: 1.02}),
    ),
    "by hand",
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path))


def test_a_table_comes_back_from_its_file_as_it_was():
    again = DeviceTable.from_dict(json.loads(json.dumps(TABLE.to_dict())))
    assert again == TABLE


def test_the_nearest_load_of_the_same_kind_is_found():
    assert TABLE.nearest(Load("chain", 3, 9_000, 30_000)) is TABLE.points[0]
    assert TABLE.nearest(Load("chain", 3, 90_000, 3_000_000)) is TABLE.points[1]
    assert TABLE.nearest(Load("convolution", 3, 500_000, 10_000_000)) is TABLE.points[2]
    assert TABLE.nearest(Load("mapped", 3, 5_000, 10_000)) is None


def test_a_deep_network_of_narrow_layers_is_like_a_shallow_one_of_narrow_layers():
    wide_and_shallow = Point(Load("chain", 3, 20_000, 20_000 * 32), {1: 1.0, 2: 1.1})
    deep_and_narrow = Point(Load("chain", 20, 20_000, 20_000 * 32), {1: 1.0, 2: 1.9})
    table = DeviceTable("cpu", (wide_and_shallow, deep_and_narrow))
    assert table.nearest(Load("chain", 18, 18_000, 18_000 * 32)) is deep_and_narrow


def test_the_smallest_number_that_gains_nearly_all_is_taken():
    assert TABLE.points[0].most == 4


def test_where_nothing_is_gained_runs_stay_alone():
    assert TABLE.points[1].most == 1
    assert TABLE.points[2].most == 1
    assert TABLE.points[1].gain(2) == 1.0


def test_a_stack_must_gain_more_than_a_single_run_loses():
    load = Load("mapped", 3, 5_000, 10_000)
    assert not Point(load, {1: 0.7, 8: 1.4}).pays
    assert Point(load, {1: 0.7, 8: 1.6}).pays


def test_gains_lie_on_a_line_between_those_measured():
    point = TABLE.points[0]
    assert point.gain(1) == 1.0
    assert point.gain(4) == 3.0
    assert 1.8 < point.gain(3) < 3.0
    assert point.gain(100) == 3.05


def test_the_default_of_this_device_is_there_and_gains_for_small_networks():
    table = table_for("cpu")
    small = table.nearest(Load("chain", 3, 5_700, 180_000))
    assert small is not None
    assert small.most >= 8
    assert all(point.gain(point.most) >= 1.0 for point in table.points)


def test_the_users_own_table_comes_first():
    own = own_file("cpu")
    own.parent.mkdir(parents=True)
    own.write_text(json.dumps(TABLE.to_dict()))
    assert table_for("cpu") == TABLE


@pytest.mark.parametrize("content", ["no json", "{}", '{"schema": 2}', "[]"])
def test_an_own_table_that_cannot_be_read_is_one_clear_line(content):
    own = own_file("cpu")
    own.parent.mkdir(parents=True)
    own.write_text(content)
    with pytest.raises(BadInput, match="fitwell calibrate") as caught:
        table_for("cpu")
    assert "\n" not in str(caught.value)


def test_on_a_device_that_nobody_measured_small_networks_are_stacked_and_large_ones_not():
    table = table_for("meta")
    assert "assumed" in table.measured
    for kind in ("chain", "mapped", "convolution"):
        assert table.nearest(Load(kind, 3, 5_000, 160_000)).most > 1
        assert table.nearest(Load(kind, 30, 5 * 10**7, 10**9)).most == 1
