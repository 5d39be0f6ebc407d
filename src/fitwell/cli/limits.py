"""From which severity a finding makes a command fail."""

from __future__ import annotations

from enum import StrEnum

from fitwell.records import SEVERITIES, Severity


class FailOn(StrEnum):
    """From which severity a finding makes ``check`` and ``watch`` fail."""

    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"
    NEVER = "never"

    def fails(self, worst: Severity | None) -> bool:
        """Say whether a run whose gravest finding is ``worst`` fails."""
        if worst is None or self is FailOn.NEVER:
            return False
        return SEVERITIES.index(worst) >= SEVERITIES.index(self.value)
