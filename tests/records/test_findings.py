"""A diagnosis is plain data."""

import json

import pytest

from fitwell.records import Diagnosis, Finding, RemedySpec


def finding(condition="overfitting", severity="mild", layers_of=("fc",), **more):
    return Finding(condition, severity, 0.9, layers_of, 3, {"gap": 0.5}, "A gap.", **more)


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
        "phrase": "",
    }
    assert data["chains"] == [
        {
            "conditions": ["bad_initialization", "overfitting"],
            "text": "bad initialization from step 3 -> overfitting from step 3",
        }
    ]


@pytest.mark.parametrize(
    ("since", "until", "text"),
    [
        (None, None, "in a, b, from the start"),
        (0, None, "in a, b, from the start"),
        (1200, None, "in a, b, since step 1,200"),
        (7, 1200, "in a, b, from step 7 to 1,200"),
        (None, 9, "in a, b, from step 0 to 9"),
    ],
)
def test_a_finding_says_where_and_when(since, until, text):
    found = Finding("dead_units", "mild", 1.0, ("a", "b"), since, {}, "", until=until)
    assert found.place == text


def test_one_illness_is_one_chain_with_its_root_first():
    root = finding("learning_rate_too_high", phrase="the first step is huge")
    dead = finding("dead_units", "severe", phrase="90 % of fc1 are dead", cause=root)
    still = finding("not_learning", phrase="the loss stays", cause=dead)
    other = finding("wrong_mode", phrase="evaluated in training mode")
    diagnosis = Diagnosis((root, other, still, dead))
    assert [[f.condition for f in chain] for chain in diagnosis.chains()] == [
        ["learning_rate_too_high", "dead_units", "not_learning"],
        ["wrong_mode"],
    ]
    assert diagnosis.stories() == (
        "the first step is huge -> 90 % of fc1 are dead -> the loss stays",
        "evaluated in training mode",
    )
    assert still.root is root


def test_findings_equally_far_from_the_root_are_joined():
    root = finding("bad_initialization", phrase="a")
    effects = [
        finding(c, phrase=p, cause=root) for c, p in (("non_finite", "b"), ("dead_units", "c"))
    ]
    assert Diagnosis((root, *effects)).stories() == ("a -> b and c",)


def test_what_a_muted_finding_explains_stays_one_chain_and_says_so():
    root = finding("bad_initialization")
    effects = [finding(c, cause=root) for c in ("exploding_gradients", "non_finite")]
    diagnosis = Diagnosis(tuple(effects), muted=("bad_initialization",))
    assert len(diagnosis.chains()) == 1
    assert "explained by bad_initialization, which is muted" in str(diagnosis)
    assert "muted: bad_initialization" in str(diagnosis)


def test_two_illnesses_of_one_condition_stay_two():
    one, two = finding(layers_of=("a",)), finding(layers_of=("b",))
    effects = [finding("underfitting", cause=one), finding("not_learning", cause=two)]
    chains = Diagnosis((one, two, *effects)).chains()
    assert [chain[1].condition for chain in chains] == ["underfitting", "not_learning"]


def test_a_notebook_shows_an_illness_as_text_and_never_obeys_it():
    page = Diagnosis((finding(phrase="<b>"), finding("wrong_mode", cause=finding())))._repr_html_()
    assert page.count("<tr") == 3
    assert "<b>" not in page.replace("<b>Overfitting</b>", "")
    page = Diagnosis((finding(layers_of=("<script>",)),), ("a <i>",))._repr_html_()
    assert "<script>" not in page
    assert "<i>" not in page
    assert "healthy" in Diagnosis()._repr_html_()


def test_remedy_specs_with_equal_arguments_are_equal_and_hash_alike():
    one, two = RemedySpec("L2", {"a": 1, "b": 2}), RemedySpec("L2", {"b": 2, "a": 1})
    assert one == two
    assert hash(one) == hash(two)
    assert RemedySpec.from_dict(one.to_dict()) == one
