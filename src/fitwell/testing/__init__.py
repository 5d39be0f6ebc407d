"""The contracts that probes, detectors and remedies pass, as tests that users can subclass."""

from fitwell.testing.detector_contract import DetectorContract
from fitwell.testing.probe_contract import ProbeContract
from fitwell.testing.remedy_contract import RemedyContract

__all__ = ["DetectorContract", "ProbeContract", "RemedyContract"]
