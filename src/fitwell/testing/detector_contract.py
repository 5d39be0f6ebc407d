"""What every detector must keep: evidence or silence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, is_dataclass

from fitwell.interfaces import Detector
from fitwell.records import CONDITIONS, SEVERITIES, Trace


class DetectorContract(ABC):
    """Subclass it in a test module, and say which traces are sick and which are healthy.

    ::

        class TestDeadUnits(DetectorContract):
            def detector(self): return DeadUnits()
            def sick(self): return trace_with(dead_share=0.9)
            def healthy(self): return trace_with(dead_share=0.1)
    """

    @abstractmethod
    def detector(self) -> Detector:
        """Return the detector with its default limits."""

    @abstractmethod
    def sick(self) -> Trace:
        """Return a trace that shows the condition."""

    @abstractmethod
    def healthy(self) -> Trace:
        """Return a trace that holds all that is needed, and does not show it."""

    def test_a_sick_trace_gives_findings_that_rest_on_numbers(self) -> None:
        findings = tuple(self.detector().detect(self.sick()))
        assert findings
        for finding in findings:
            assert finding.condition == self.detector().condition
            assert finding.severity in SEVERITIES
            assert 0 <= finding.confidence <= 1
            assert finding.evidence
            assert finding.explanation.endswith(".")
            assert finding.remedies == (), "a detector names no remedy: prescribe does"

    def test_a_healthy_trace_gives_none(self) -> None:
        assert tuple(self.detector().detect(self.healthy())) == ()

    def test_an_empty_trace_gives_none_and_does_not_fail(self) -> None:
        assert tuple(self.detector().detect(Trace())) == ()
        self.detector().unjudged(Trace())

    def test_what_it_judges_it_does_not_call_unjudged(self) -> None:
        assert self.detector().unjudged(self.sick()) is None

    def test_a_trace_that_went_through_a_file_gives_the_same(self) -> None:
        read = Trace.from_dict(self.sick().to_dict())
        first, second = (tuple(self.detector().detect(t)) for t in (self.sick(), read))
        assert [f.to_dict() for f in first] == [f.to_dict() for f in second]

    def test_it_is_a_frozen_value_of_a_known_condition(self) -> None:
        detector = self.detector()
        assert is_dataclass(detector)
        assert detector == self.detector()
        assert hash(detector) == hash(self.detector())
        assert detector.condition in CONDITIONS
        assert all(isinstance(getattr(detector, f.name), (int, float)) for f in fields(detector))
