"""The names that users rely on."""

import tomllib
from pathlib import Path

import pytest

import fitwell
from fitwell import errors, records, remedies


def test_the_public_names_are_pinned():
    assert set(fitwell.__all__) == {
        *("Cure", "Diagnosis", "Finding", "FitwellError", "LearningCurve", "MonteCarlo"),
        *("NotApplicable", "Recipe", "RemedySpec", "Study", "Task", "Trace", "TrainingStopped"),
        *("Treated", "Verdict"),
        *("compare", "cure", "learning_curve", "monte_carlo", "preflight", "remedies", "watch"),
    }


VERBS = ["compare", "cure", "learning_curve", "monte_carlo", "preflight", "watch"]


@pytest.mark.parametrize("name", VERBS)
def test_the_verbs_are_functions_and_not_the_modules_of_the_same_name(name):
    assert callable(getattr(fitwell, name))


def test_every_public_name_tells_what_it_is():
    assert not [name for name in fitwell.__all__ if not getattr(fitwell, name).__doc__]


def test_the_remedies_are_pinned():
    assert set(remedies.REMEDIES) == {
        *("Activation", "AdaptiveClip", "Augment", "BatchNorm", "ClipNorm", "ClipValue"),
        *("CutMix", "Dropout", "EarlyStopping", "FoldBatchNorm", "GroupNorm", "Initialization"),
        *("L1", "L2", "LSUV", "LabelSmoothing", "LayerNorm", "LearningRate", "Mixup"),
        *("PercentileClip", "Prune", "ScaleInputs", "Shrink", "WeightAverage"),
    }


def test_the_version_is_the_one_of_the_package():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert project["project"]["version"] == fitwell.__version__


def test_every_error_of_ours_is_one_of_fitwell():
    ours = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert len(ours) >= 8
    assert all(issubclass(e, errors.FitwellError) for e in ours)


def test_the_conditions_of_the_product_are_known():
    assert len(records.CONDITIONS) == len(set(records.CONDITIONS)) == 20


def test_a_missing_extra_names_the_line_that_installs_it():
    with pytest.raises(errors.MissingExtra, match=r"pip install 'fitwell\[lab\]'"):
        errors.require("no_such_module_at_all")


def test_what_a_long_job_needs_is_looked_for_before_it_begins():
    errors.needs("json", "torch")
    with pytest.raises(errors.MissingExtra, match=r"needs no_such_module, which is not installed"):
        errors.needs("json", "no_such_module")


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_an_argument_out_of_range_is_named_with_its_range(value):
    with pytest.raises(errors.ThresholdError, match=r"rate must lie in \[0, 1\], got"):
        errors.in_range("rate", value, 0, 1)
