"""The statistics of a study: effects with intervals, several arms at once, a verdict in words.

``docs/statistics.md`` says which number means what, and how often each is right.
"""

from fitwell.studies.statistics.paired import CONFIDENCE, LEVEL, holm, paired_effect, verdict
from fitwell.studies.statistics.sequential import ConfidenceSequence, beaten

__all__ = [
    "CONFIDENCE",
    "LEVEL",
    "ConfidenceSequence",
    "beaten",
    "holm",
    "paired_effect",
    "verdict",
]
