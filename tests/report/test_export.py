from __future__ import annotations

import re
import struct
from dataclasses import replace

import pytest

from fitwell.records import Anatomy, CureRecord, Diagnosis, Images, LearningCurve, Node, Role
from fitwell.report.charts import Figure
from fitwell.report.charts.claims import picture_figure
from fitwell.report.export import SCALE, figure_files, figure_svg, spec_of
from fitwell.report.figures import cure_figures
from fitwell.report.network_svg import network_figure
from fitwell.words import say


@pytest.fixture
def losses(cured: CureRecord) -> Figure:
    figure = cure_figures(cured)["losses"]
    assert figure is not None
    return figure


def test_every_figure_of_a_page_becomes_two_files_named_by_its_title(
    cured: CureRecord, curve: LearningCurve
) -> None:
    figures = cure_figures(replace(cured, learning_curve=curve))
    files = figure_files({name: figures[name] for name in ("losses", "curve")} | {"none": None})
    assert sorted(files) == [
        "loss-over-the-epochs.png",
        "loss-over-the-epochs.svg",
        "the-learning-curve.png",
        "the-learning-curve.svg",
    ]
    assert files["the-learning-curve.png"].startswith(b"\x89PNG")


def test_an_svg_carries_title_and_caption_as_text_on_a_white_ground(losses: Figure) -> None:
    svg = figure_svg(losses)
    assert "Loss over the epochs" in svg
    assert "How to read it: each line is the mean over the seeds" in svg
    assert 'fill="#ffffff"' in svg
    assert "var(--" not in svg


def test_a_png_has_two_pixels_for_one_of_the_drawing(losses: Figure) -> None:
    files = figure_files({"losses": losses})
    width = struct.unpack(">I", files["loss-over-the-epochs.png"][16:20])[0]
    svg = files["loss-over-the-epochs.svg"].decode()
    assert width == SCALE * int(svg.partition('width="')[2].partition('"')[0])


def test_panels_side_by_side_keep_numbers_of_their_own(losses: Figure) -> None:
    spec = spec_of(losses)
    assert "datasets" not in spec
    for panel, part in zip(losses.panels, spec["concat"], strict=True):
        assert panel.csv in [layer.get("data", {}).get("values") for layer in part["layer"]]


def test_images_have_their_size() -> None:
    figure = picture_figure(Images("Rows", (("one", ((0.0, 1.0), (1.0, 0.0))),)))
    (size,) = re.findall(r'<image[^>]* width="(\d+)" height="(\d+)"', figure_svg(figure))
    assert size == ("114", "114")


def test_a_title_in_another_language_gives_the_same_name(losses: Figure) -> None:
    korean = replace(losses, title=type(say(""))("손실", ("Loss over the epochs",), {}))
    assert "loss-over-the-epochs.svg" in figure_files({"losses": korean})


def test_two_figures_of_one_title_are_two_files(losses: Figure) -> None:
    assert "loss-over-the-epochs-2.svg" in figure_files({"a": losses, "b": losses})


def test_a_network_stands_alone_with_its_colours(diagnosis: Diagnosis) -> None:
    node = Node(0, "fc1", "Linear", Role.LAYER, False, (-1,), (2, 4))
    figure = network_figure(Anatomy((node,), ((2, 4),)), diagnosis)
    assert figure is not None
    svg = figure_svg(figure)
    assert "svg.network .sign { color: #" in svg
    assert "var(--" not in svg
    assert figure_files({"network": figure})["the-network.png"].startswith(b"\x89PNG")
