"""Draw a network as lines and rails, without torch: :class:`Picture` for pages, text for people.

Nodes of shape are folded away (:mod:`.folding`), blocks that repeat are drawn once
(:mod:`.repeats`), every live branch gets a rail (:mod:`.rails`).
"""

from fitwell.records.drawing.labels import GLYPHS
from fitwell.records.drawing.picture import Line, Picture, picture_of
from fitwell.records.drawing.rails import Layout, Rail
from fitwell.records.drawing.text import Row, columns, rows_of, text_of

__all__ = [
    "GLYPHS",
    "Layout",
    "Line",
    "Picture",
    "Rail",
    "Row",
    "columns",
    "picture_of",
    "rows_of",
    "text_of",
]
