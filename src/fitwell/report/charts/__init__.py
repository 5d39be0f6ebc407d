"""The figures of a page as Vega-Lite specifications, made with altair.

No colour stands here: marks carry named styles and scales use the palette of the page
(``templates/figures.js``), so that a figure follows the light or dark scheme of its reader.
"""

from fitwell.report.charts.claims import evidence_figure, picture_figure
from fitwell.report.charts.course import course_figure
from fitwell.report.charts.effects import contributions_figure, scores_figure
from fitwell.report.charts.figure import Data, Figure, Panel
from fitwell.report.charts.gradients import gradient_figure
from fitwell.report.charts.learning import learning_figure
from fitwell.report.charts.loss import loss_figure
from fitwell.report.charts.units import dead_figure, nothing_silent, saturated_figure
from fitwell.report.charts.updates import update_figure
from fitwell.report.charts.weights import weights_figure

__all__ = [
    "Data",
    "Figure",
    "Panel",
    "contributions_figure",
    "course_figure",
    "dead_figure",
    "evidence_figure",
    "gradient_figure",
    "learning_figure",
    "loss_figure",
    "nothing_silent",
    "picture_figure",
    "saturated_figure",
    "scores_figure",
    "update_figure",
    "weights_figure",
]
