import math
from dataclasses import replace

import pytest

from fitwell import remedies
from fitwell.detectors import DETECTORS
from fitwell.errors import BadInput
from fitwell.prescribe import REMEDIES_FOR, diagnose, remedies_for
from fitwell.prescribe.causes import linked
from fitwell.records import CONDITIONS, Facts, Finding, LayerFact, Quantity, Row, Trace
from fitwell.testing.made_traces import curves, gradients, start

MLP = (
    LayerFact("a", "Linear", "hidden", 0, activation="sigmoid"),
    LayerFact("b", "Linear", "output", 1),
)
RNN = (LayerFact("r", "RNN", "recurrent", 0, activation="tanh"), *MLP)

EXPLAINS = {condition: row.explains for condition, row in REMEDIES_FOR.items()}


def finding(condition, *, since=None, cause=None) -> Finding:
    return Finding(condition, "severe", 0.9, (), since, {"x": 1.0}, "Said.", cause=cause)


def names(condition, **facts) -> list[str]:
    return [s.name for s in remedies_for(finding(condition), Facts(**facts))]


def test_every_detector_has_a_row_and_every_condition_too():
    assert {d.condition for d in DETECTORS} <= set(REMEDIES_FOR)
    assert set(REMEDIES_FOR) == set(CONDITIONS)


def test_causes_stand_before_what_they_explain():
    order = list(REMEDIES_FOR)
    backwards = {
        (condition, explained)
        for condition, row in REMEDIES_FOR.items()
        for explained in row.explains
        if order.index(condition) >= order.index(explained)
    }
    assert backwards == {
        ("exploding_gradients", "learning_rate_too_high"),
        ("vanishing_gradients", "untrained_parameters"),
        ("underfitting", "not_learning"),
    }


def test_a_network_that_is_held_back_learns_nothing_for_that_reason():
    nothing, held = finding("not_learning"), finding("underfitting")
    by_decay = replace(held, evidence={"remaining": 1.0, "weight_decay": 0.3})
    assert linked((nothing, by_decay), EXPLAINS)[0].cause == by_decay
    first, second = linked((nothing, held), EXPLAINS)
    assert (first.cause, second.cause) == (None, first)


@pytest.mark.parametrize("layers", [(), MLP, RNN])
@pytest.mark.parametrize("condition", list(REMEDIES_FOR))
def test_every_remedy_named_exists_and_takes_its_arguments(condition, layers):
    specs = remedies_for(finding(condition), Facts(layers=layers, classes=3))
    assert len({s.name for s in specs}) == len(specs)
    for spec in specs:
        remedies.from_spec(spec)


def test_a_condition_without_a_row_has_no_remedies():
    assert names("distribution_shift") == []


CNN = (LayerFact("a", "Conv2d", "hidden", 0, activation="relu"), MLP[1])


@pytest.mark.parametrize(("layers", "norm"), [(MLP, "LayerNorm"), (CNN, "GroupNorm")])
def test_small_batches_get_layer_norm_and_images_group_norm(layers, norm):
    assert norm in names("vanishing_gradients", layers=layers, batch_size=15)
    assert "BatchNorm" in names("vanishing_gradients", layers=layers, batch_size=16)


def test_a_recurrent_layer_by_itself_is_answered_by_layer_norm_unless_it_has_one():
    layer = LayerFact("r", "RNN", "recurrent", 0, activation="tanh")
    for norm in (False, True):
        found = names("exploding_gradients", layers=(replace(layer, normalized=norm),))
        assert ("LayerNorm" in found) is not norm


def test_recurrent_networks_are_clipped_and_never_batch_normed():
    found = names("exploding_gradients", layers=RNN, batch_size=64)
    assert found[:3] == ["Initialization", "LayerNorm", "ClipNorm"]
    assert "BatchNorm" not in found


def test_a_network_that_is_normalised_gets_no_second_normalisation():
    layers = (replace(MLP[0], normalized=True), MLP[1])
    found = names("overfitting", layers=layers)
    assert not {"BatchNorm", "GroupNorm", "LayerNorm"} & set(found)


def test_an_explosion_is_answered_by_every_clip_and_a_warm_up():
    found = names("exploding_gradients", layers=MLP, batch_size=64)
    assert found[-4:] == ["ClipValue", "AdaptiveClip", "PercentileClip", "LearningRate"]


def test_overfitting_is_answered_by_mixing_and_averaging():
    assert {"Mixup", "CutMix", "WeightAverage"} <= set(names("overfitting", layers=MLP))


def test_labels_are_smoothed_in_classification_only():
    assert "LabelSmoothing" in names("overfitting", loss="cross_entropy")
    assert "LabelSmoothing" not in names("overfitting", loss="mse")


def test_underfitting_that_something_explains_has_no_remedy_of_its_own():
    cause = finding("vanishing_gradients")
    facts = Facts(layers=MLP)
    assert remedies_for(finding("underfitting"), facts)
    assert remedies_for(finding("underfitting", cause=cause), facts) == ()


def test_a_healthy_trace_and_an_empty_one_have_no_finding():
    assert diagnose(gradients([1.0] * 6, losses=[1.0] * 10 + [0.1] * 20)).healthy
    empty = diagnose(Trace())
    assert empty.healthy
    assert any("val_loss" in sentence for sentence in empty.unjudged)


def test_one_illness_is_one_root_with_what_it_brings_about():
    trace = gradients([10.0 ** (i - 9) for i in range(10)], losses=[1.0] * 200)
    diagnosis = diagnose(trace)
    assert diagnosis.conditions == ("vanishing_gradients", "not_learning")
    root, effect = diagnosis
    assert root.cause is None
    assert effect.cause is root
    assert root.remedies


def test_first_weights_explain_an_explosion_and_that_is_what_breaks():
    trace = start({Quantity.OUTPUT_RMS: [10.0**i for i in range(6)]})
    rows = [
        Row(s, Quantity.GRADIENT_NORM, 1e6 if s < 5 else math.nan, module)
        for s in range(30)
        for module in ("", "layers.0")
    ]
    diagnosis = diagnose(Trace([*trace.rows, *rows], trace.facts))
    assert diagnosis.conditions[0] == "bad_initialization"
    causes = {f.condition: f.cause.condition for f in diagnosis if f.cause}
    assert causes == {
        "exploding_gradients": "bad_initialization",
        "non_finite": "exploding_gradients",
        "not_learning": "non_finite",
    }
    assert [len(chain) for chain in diagnosis.chains()] == [4]


def test_what_began_later_explains_nothing():
    rows = [Row(s, Quantity.LOSS, 1.0 if s != 2 else math.nan) for s in range(40)]
    late = [Row(s, Quantity.GRADIENT_NORM, 1.0 if s < 30 else 1e6) for s in range(40)]
    diagnosis = diagnose(Trace([*rows, *late], Facts(chance_loss=1.0)))
    assert {f.condition: f.cause for f in diagnosis} == {
        "exploding_gradients": None,
        "non_finite": None,
    }


def test_only_asks_the_detectors_that_are_named():
    trace = curves([0.01] * 30, [0.9] * 5 + [1.5] * 25)
    assert diagnose(trace, only=("non_finite",)).healthy
    with pytest.raises(BadInput, match="overfiting"):
        diagnose(trace, only=("overfiting",))


def test_a_muted_cause_changes_nothing_of_what_it_explains():
    trace = gradients([10.0 ** (i - 9) for i in range(10)], losses=[1.0] * 200)
    whole = diagnose(trace)
    muted = diagnose(trace, mute=("vanishing_gradients",))
    assert muted.muted == ("vanishing_gradients",)
    assert [f.to_dict() for f in muted] == [f.to_dict() for f in whole.findings[1:]]
    assert muted.findings[0].cause.condition == "vanishing_gradients"


def test_overfitting_is_first_answered_by_stopping_in_time():
    assert names("overfitting", layers=MLP)[:2] == ["EarlyStopping", "Augment"]


def test_tokens_are_neither_augmented_nor_mixed():
    found = names("overfitting", layers=MLP, input_kind="tokens")
    assert not {"Augment", "Mixup", "CutMix"} & set(found)
    assert "Dropout" in found


def test_a_layer_narrower_than_the_classes_is_for_no_remedy_to_widen():
    narrow = (replace(MLP[0], units=9), MLP[1])
    assert names("underfitting", layers=narrow, classes=10) == []
    assert names("underfitting", layers=(replace(MLP[0], units=10), MLP[1]), classes=10)


def test_rows_that_lost_their_targets_are_for_the_code_to_mend():
    lost = replace(finding("not_learning"), advice="Check that each target belongs to its inputs.")
    assert remedies_for(lost, Facts(layers=MLP)) == ()
    assert remedies_for(finding("not_learning"), Facts(layers=MLP))
