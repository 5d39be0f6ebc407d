"""The picture of a network in colour and on a page."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from rich.console import Console

from fitwell.records import (
    Anatomy,
    Change,
    CureRecord,
    Diagnosis,
    Finding,
    Node,
    Role,
    TaskRecord,
    Trace,
)
from fitwell.records.drawing import GLYPHS
from fitwell.report.html import cure_page, diagnosis_page
from fitwell.report.network_lines import LEGEND, STYLES, NetworkLines
from fitwell.report.network_svg import SIGNS, network_figure
from fitwell.report.terminal import diagnosis_story

HOSTILE = "</svg><script>alert(1)</script>\x1b[31m"


def residual(path: str = "h", count: int = 4) -> Anatomy:
    """A stem, blocks of a layer with a skip around it, and a head."""
    nodes = [_linear(0, "stem", (-1,))]
    for number in range(count):
        index = len(nodes)
        nodes.append(_linear(index, f"{path}.{number}.fc", (index - 1,)))
        home = f"{path}.{number}"
        nodes.append(Node(index + 1, home, "relu", Role.ACTIVATION, True, (index,), (2, 4)))
        nodes.append(Node(index + 2, home, "add", Role.ADD, True, (index + 1, index - 1), (2, 4)))
    nodes.append(_linear(len(nodes), "head", (len(nodes) - 1,)))
    return Anatomy(tuple(nodes), ((2, 4),))


def _linear(index: int, path: str, inputs: tuple[int, ...]) -> Node:
    sizes = {"in_features": 4, "out_features": 4}
    return Node(index, path, "Linear", Role.LAYER, False, inputs, (2, 4), (), 0, sizes)


def finding(condition: str, severity: str, *layers: str) -> Finding:
    return Finding(condition, severity, 0.9, layers, 0, {}, "It is so.")


def svg_of(anatomy: Anatomy, *findings: Finding) -> ElementTree.Element:
    figure = network_figure(anatomy, Diagnosis(findings))
    assert figure is not None
    return ElementTree.fromstring(str(figure.svg))


def with_class(svg: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [one for one in svg.iter() if kind in one.get("class", "").split()]


def texts(svg: ElementTree.Element, kind: str) -> list[str]:
    return ["".join(one.itertext()) for one in with_class(svg, kind)]


def test_every_kind_of_line_has_a_sign_a_colour_and_a_name() -> None:
    assert GLYPHS.keys() == SIGNS.keys() == STYLES.keys() == LEGEND.keys() | {"input"}


def test_a_drawing_shows_every_line_and_says_what_it_is() -> None:
    svg = svg_of(residual())
    assert texts(svg, "name") == ["input", "stem", ".fc", "relu", "add", "head"]
    assert texts(svg, "title") == ["× 4 (h.0 to h.3)"]
    assert texts(svg, "what") == ["Linear 4 → 4"] * 3
    assert svg.get("role") == "img"
    assert "6 layers" in (svg.findtext("{http://www.w3.org/2000/svg}title") or "")
    assert len(with_class(svg, "block")) == 1


def test_what_findings_name_is_marked_with_the_conditions() -> None:
    svg = svg_of(
        residual(),
        finding("dead_units", "moderate", "h.1.fc", "h.2.fc"),
        finding("vanishing_gradients", "severe", "stem", "h.0.fc", "h.1.fc", "h.2.fc", "h.3.fc"),
        finding("overfitting", "severe"),
    )
    assert [one.get("class") for one in with_class(svg, "mark")] == ["mark severe"] * 2
    assert texts(svg, "said") == [
        "Vanishing gradients",
        "Dead units (2 of 4), Vanishing gradients",
    ]


def test_nothing_is_marked_where_a_finding_names_no_layer() -> None:
    figure = network_figure(residual(), Diagnosis((finding("overfitting", "mild"),)))
    assert figure is not None
    assert figure.marked == 0
    assert "mark" not in figure.svg


def test_what_a_recipe_changed_stands_in_a_dashed_square_with_the_remedies() -> None:
    changes = (
        Change("BatchNorm", "h.1.fc", "followed by nn.BatchNorm1d(num_features=4)"),
        Change("Initialization", "h.1.fc.layer.weight", "filled by kaiming_normal_()"),
        Change("BatchNorm", "stem", "followed by nn.BatchNorm1d(num_features=4)"),
        Change("Shrink", "forward", "made anew"),
    )
    figure = network_figure(
        residual(), Diagnosis((finding("dead_units", "mild", "stem"),)), changes
    )
    assert figure is not None
    svg = ElementTree.fromstring(str(figure.svg))
    assert (figure.marked, figure.treated, len(with_class(svg, "changed"))) == (1, 2, 2)
    assert texts(svg, "treated") == [
        "+ BatchNorm",
        "+ BatchNorm (1 of 4), Initialization (1 of 4)",
    ]


def test_rails_stay_within_the_drawing_and_text_too() -> None:
    svg = svg_of(residual("block" * 30), finding("dead_units", "mild", "stem", "head"))
    width, height = float(svg.get("width", "0")), float(svg.get("height", "0"))
    assert svg.get("viewBox") == f"0 0 {width:g} {height:g}"
    for text in svg.iter("{http://www.w3.org/2000/svg}text"):
        end = float(text.get("x", "0")) + 7.3 * len("".join(text.itertext()))
        assert end <= width
        assert float(text.get("y", "0")) <= height
    ways = with_class(svg, "rail")[0].get("d", "")
    assert max(float(y) for y in re.findall(r"V([\d.]+)", ways)) <= height


def test_names_out_of_a_network_are_shown_and_never_obeyed() -> None:
    figure = network_figure(residual(HOSTILE), Diagnosis())
    assert figure is not None
    assert "<script" not in figure.svg
    assert "\x1b" not in figure.svg
    assert len(ElementTree.fromstring(str(figure.svg)).findall(".//")) > 10


@pytest.mark.parametrize("anatomy", [None, Anatomy(())])
def test_without_nodes_there_is_no_section(anatomy: Anatomy | None, diagnosis: Diagnosis) -> None:
    assert network_figure(anatomy, diagnosis) is None
    assert "The network</h2>" not in diagnosis_page(diagnosis, Trace(), "it", anatomy=anatomy)


def test_both_pages_carry_the_drawing_once(cured: CureRecord, diagnosis: Diagnosis) -> None:
    anatomy = residual()
    cured = replace(cured, task=replace(cured.task, anatomy=anatomy))
    pages = [cure_page(cured), diagnosis_page(diagnosis, Trace(), "it", anatomy=anatomy)]
    for page in pages:
        assert page.count('<svg xmlns="http://www.w3.org/2000/svg" class="network"') == 1
        assert page.count("<h2>The network</h2>") == 1


def test_the_anatomy_is_no_part_of_the_result_as_data(cured: CureRecord) -> None:
    task = replace(cured.task, anatomy=residual())
    assert replace(cured, task=task).to_dict() == cured.to_dict()


def printed(anatomy: Anatomy, width: int, *, colour: bool = False) -> str:
    system = "truecolor" if colour else None
    console = Console(width=width, force_terminal=colour, color_system=system, highlight=False)
    with console.capture() as capture:
        console.print(NetworkLines(anatomy))
    return capture.get()


def test_a_terminal_shows_what_plain_text_shows_and_a_legend() -> None:
    plain, legend = printed(residual(), 80).rstrip("\n").split("\n\n")
    assert [line.rstrip() for line in plain.splitlines()] == str(residual()).splitlines()
    assert legend.replace("\u00a0", " ") == "● layer  ƒ activation  ⊕ add  ■ output layer"


def test_signs_are_coloured_by_role() -> None:
    assert "\x1b[1;36m●" in printed(residual(), 80, colour=True)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_names_are_shortened_so_that_shapes_fit_in(width: int) -> None:
    net = Anatomy((_linear(0, "encoder.layers.attention." * 3 + "projection", (-1,)),))
    text = printed(net, width)
    assert max(map(len, text.splitlines())) <= width
    line = text.splitlines()[1].rstrip()
    assert "…" in line
    assert re.search(r"projection +Linear 4 → 4 +4$", line)


def test_the_story_of_a_check_draws_the_network_only_if_asked(
    task: TaskRecord, diagnosis: Diagnosis
) -> None:
    drawn = replace(task, anatomy=residual())
    console = Console(width=80, no_color=True)
    stories = []
    for network in (False, True):
        with console.capture() as capture:
            console.print(diagnosis_story(drawn, diagnosis, Trace(), network=network))
        stories.append(capture.get())
    assert "⊕─╯" not in stories[0]
    assert stories[1].index("⊕─╯") < stories[1].index("Overfitting")
