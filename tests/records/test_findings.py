"""A diagnosis is plain data."""

import json

from fitwell.records import Diagnosis, Finding, RemedySpec


def finding(condition="overfitting", severity="mild", **more):
    return Finding(condition, severity, 0.9, ("fc",), 3, {"gap": 0.5}, "A gap.", **more)


def test_no_finding_is_healthy():
    assert Diagnosis().healthy
    assert Diagnosis().worst() is None


def test_the_worst_severity_counts():
    assert Diagnosis((finding(), finding(severity="severe"))).worst() == "severe"


def test_json_has_the_documented_keys_and_spells_infinity():
    cause = finding("bad_initialization")
    sick = finding(remedies=(RemedySpec("Dropout", {"rate": 0.5}),), cause=cause)
    sick.evidence["ratio"] = float("inf")
    data = json.loads(Diagnosis((cause, sick)).to_json())
    assert data["schema"] == 1
    assert data["healthy"] is False
    assert data["findings"][1] == {
        "condition": "overfitting",
        "severity": "mild",
        "confidence": 0.9,
        "layers": ["fc"],
        "since": 3,
        "evidence": {"gap": 0.5, "ratio": "inf"},
        "explanation": "A gap.",
        "remedies": [{"name": "Dropout", "args": {"rate": 0.5}}],
        "cause": "bad_initialization",
        "until": None,
        "advice": "",
    }


def test_remedy_specs_with_equal_arguments_are_equal_and_hash_alike():
    one, two = RemedySpec("L2", {"a": 1, "b": 2}), RemedySpec("L2", {"b": 2, "a": 1})
    assert one == two
    assert hash(one) == hash(two)
    assert RemedySpec.from_dict(one.to_dict()) == one
