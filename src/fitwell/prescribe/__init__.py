"""From findings to remedies: one table, and the diagnosis that it completes."""

from fitwell.prescribe.diagnosis import are_conditions, diagnose
from fitwell.prescribe.ranking import SMALL_BATCH
from fitwell.prescribe.table import REMEDIES_FOR, Row, remedies_for

__all__ = ["REMEDIES_FOR", "SMALL_BATCH", "Row", "are_conditions", "diagnose", "remedies_for"]
