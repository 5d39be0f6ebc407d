from __future__ import annotations

import math

from fitwell.records import Facts, Finding, LayerFact, Quantity, Row, Trace
from fitwell.report.grids import Grid, Region, grid_of, regions


def _norms(*rows: tuple[int, str, float]) -> Trace:
    return Trace([Row(step, Quantity.GRADIENT_NORM, value, layer) for step, layer, value in rows])


def _grid(trace: Trace, columns: int = 48, lines: int = 60) -> Grid:
    return grid_of(trace, Quantity.GRADIENT_NORM, columns=columns, lines=lines)


def _finding(*layers: str, since: int | None = None, until: int | None = None) -> Finding:
    return Finding("dead_units", "mild", 0.9, layers, since, {}, "It is so.", until=until)


def test_layers_of_a_grid_stand_in_the_order_in_which_they_run() -> None:
    trace = _norms((0, "out", 1.0), (0, "stranger", 1.0), (0, "in", 1.0))
    trace.facts = Facts(
        (LayerFact("out", "Linear", "output", 1), LayerFact("in", "Linear", "hidden", 0))
    )
    assert _grid(trace).layers == ("in", "out", "stranger")


def test_of_neighbouring_steps_the_largest_is_shown() -> None:
    grid = _grid(_norms((0, "a", 1.0), (5, "a", 100.0), (9, "a", 7.0)), columns=2)
    assert [(c.column, c.first, c.last) for c in grid.cells] == [(0, 0, 5), (1, 9, 9)]
    assert grid.cells[0].value == 100.0


def test_a_grid_tells_zero_and_lost_gradients_apart() -> None:
    rows = [(0, "fine", 1.0), (0, "zero", 0.0), (0, "lost", math.nan), (0, "huge", math.inf)]
    states = {cell.layer: cell.state for cell in _grid(_norms(*rows)).cells}
    assert states == {
        "fine": "positive",
        "zero": "zero",
        "lost": "not finite",
        "huge": "not finite",
    }


def test_the_norm_of_the_whole_network_is_no_layer_of_the_grid() -> None:
    assert _grid(_norms((0, "", 1.0))).cells == ()


def test_neighbouring_layers_share_a_line_where_there_are_too_many() -> None:
    grid = _grid(_norms(*((0, name, place) for place, name in enumerate("abcde", 1))), lines=2)
    assert grid.pooled == 3
    assert [(cell.layer, cell.value) for cell in grid.cells] == [("a … c", 3.0), ("d … e", 5.0)]
    assert regions(grid, [_finding("b", "e")]) == [Region("dead_units", "a … c", "d … e", 0, 0)]


def test_a_region_spans_its_layers_from_the_step_it_began_at_to_the_one_it_ended_at() -> None:
    steps = (0, 10, 20, 30)
    grid = _grid(_norms(*((step, layer, 1.0) for step in steps for layer in "abcd")))
    whole = regions(grid, [_finding("a", "b", "d")])
    assert [(r.top, r.bottom, r.left, r.right) for r in whole] == [
        ("a", "b", 0, 3),
        ("d", "d", 0, 3),
    ]
    (part,) = regions(grid, [_finding("c", since=15, until=29)])
    assert (part.left, part.right) == (1, 2)


def test_a_finding_of_other_layers_has_no_region() -> None:
    assert regions(_grid(_norms((0, "a", 1.0))), [_finding("b"), _finding()]) == []
