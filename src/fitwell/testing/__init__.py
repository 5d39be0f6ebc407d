"""The contracts that probes, detectors and remedies pass, as tests that users can subclass."""

from fitwell.testing.remedy_contract import RemedyContract

__all__ = ["RemedyContract"]
