"""The statistics of a study: effects with intervals, several arms at once, a verdict in words.

``docs/statistics.md`` says which number means what, and how often each is right.
"""

from fitwell.studies.statistics.arms import holm, verdict
from fitwell.studies.statistics.other_rows import other_rows_effect
from fitwell.studies.statistics.paired import (
    CONFIDENCE,
    LEVEL,
    paired_effect,
    repeated_splits_effect,
    sign_flip_p,
)
from fitwell.studies.statistics.power import POWER, minimum_detectable_effect
from fitwell.studies.statistics.sequential import ConfidenceSequence, beaten

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "POWER",
    "ConfidenceSequence",
    "beaten",
    "holm",
    "minimum_detectable_effect",
    "other_rows_effect",
    "paired_effect",
    "repeated_splits_effect",
    "sign_flip_p",
    "verdict",
]
