from __future__ import annotations

import json

import pytest
from torch import nn

from fitwell.cli import main
from fitwell.errors import BadInput
from fitwell.studies import calibrating
from fitwell.studies.calibrating import PROBES, Probe, calibrate, gains_of
from fitwell.studies.device_table import own_file, table_for


def small():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 10))


PROBE = Probe("small", small, (4,), 16)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path))


def test_what_a_network_asks_of_a_device_is_counted_by_hand():
    load = PROBE.load()
    assert (load.kind, load.layers) == ("chain", 2)
    assert load.parameters == 4 * 8 + 8 + 8 * 10 + 10
    assert load.work == 16 * (4 * 8 + 8 * 10)


def test_gains_are_measured_from_one_run_on():
    gains = gains_of(PROBE, "cpu", repeats=1)
    assert list(gains) == sorted(gains)
    assert 1 in gains
    assert min(gains.values()) > 0


def test_a_stack_that_would_take_too_long_or_too_much_memory_is_not_measured(monkeypatch):
    monkeypatch.setattr(calibrating, "LONGEST", 0.0)
    assert list(gains_of(PROBE, "cpu", repeats=1)) == [1]
    monkeypatch.setattr(calibrating, "MEMORY", 3 * 130 * calibrating.BYTES)
    monkeypatch.setattr(calibrating, "LONGEST", 1e9)
    assert set(gains_of(PROBE, "cpu", repeats=1)) <= {1, 2}


def test_the_probes_are_of_all_kinds_and_run():
    kinds = {probe.load().kind for probe in PROBES}
    assert kinds == {"chain", "mapped", "convolution"}


def test_a_device_that_is_not_there_is_one_clear_line():
    with pytest.raises(BadInput, match="no device 'cuda:77'") as caught:
        calibrate("cuda:77", probes=[PROBE])
    assert "\n" not in str(caught.value)


def test_the_command_measures_says_so_and_keeps_it_for_later_studies(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(calibrating, "PROBES", (PROBE,))
    assert main(["calibrate", "--json", str(tmp_path / "result.json")]) == 0
    told = "".join(capsys.readouterr().out.split())
    assert str(own_file("cpu")) in told
    assert "chain" in told
    result = json.loads((tmp_path / "result.json").read_text())
    assert table_for("cpu").to_dict() == result


def test_the_command_refuses_an_unknown_device(capsys):
    assert main(["calibrate", "--device", "toaster"]) == 2
    assert "toaster" in capsys.readouterr().err
