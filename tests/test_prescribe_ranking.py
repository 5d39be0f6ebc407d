"""The first remedy is the one that repaired such a fault in such a network, when it was tried."""

import pytest

from fitwell.prescribe import remedies_for
from fitwell.records import Facts, Finding, LayerFact


def network(count: int, activation: str, *, optimizer: str = "SGD", **facts) -> Facts:
    layers = tuple(
        LayerFact(f"l{i}", "Linear", "hidden", i, activation=activation) for i in range(count)
    )
    return Facts(
        layers=(*layers, LayerFact("out", "Linear", "output", count)),
        optimizer=optimizer,
        batch_size=facts.pop("batch_size", 32),
        **facts,
    )


def first(condition: str, facts: Facts, *, since=None, **evidence) -> str:
    finding = Finding(condition, "severe", 0.9, (), since, evidence, "Said.")
    return str(remedies_for(finding, facts)[0])


@pytest.mark.parametrize(
    ("activation", "optimizer", "remedy"),
    [
        ("sigmoid", "SGD", "BatchNorm()"),
        ("sigmoid", "AdamW", "BatchNorm()"),
        ("tanh", "SGD", "BatchNorm()"),
        ("tanh", "AdamW", "Initialization()"),
        ("relu", "RMSprop", "Initialization()"),
    ],
)
def test_a_vanishing_gradient_is_answered_by_activation_and_optimizer(
    activation, optimizer, remedy
):
    facts = network(12, activation, optimizer=optimizer)
    assert first("vanishing_gradients", facts) == remedy


def test_in_small_batches_sigmoids_are_replaced_first():
    facts = network(12, "sigmoid", batch_size=8)
    assert first("vanishing_gradients", facts) == "Activation()"


@pytest.mark.parametrize(
    ("depth", "optimizer", "evidence", "remedy"),
    [
        (3, "SGD", {"fall": 4.0}, "Initialization()"),
        (10, "SGD", {"fall": 4.0}, "BatchNorm()"),
        (10, "SGD", {"fall": 4.0, "factor": 0.01}, "Initialization()"),
        (10, "SGD", {"growth": 4.0}, "Initialization()"),
        (10, "Adam", {"fall": 4.0}, "Initialization()"),
    ],
)
def test_weights_are_drawn_anew_but_where_depth_alone_fades_signals(
    depth, optimizer, evidence, remedy
):
    facts = network(depth, "relu", optimizer=optimizer)
    assert first("bad_initialization", facts, **evidence) == remedy


def test_no_normalisation_tells_units_apart_that_are_all_alike():
    finding = Finding("bad_initialization", "severe", 0.9, (), None, {"alike": 3.0}, "Said.")
    found = remedies_for(finding, network(10, "relu"))
    assert [spec.name for spec in found] == ["Initialization", "LSUV"]


@pytest.mark.parametrize(
    ("condition", "share"), [("dead_units", "dead_share"), ("saturated_units", "saturated_share")]
)
def test_units_born_dead_get_new_weights_and_those_that_a_step_killed_a_lower_rate(
    condition, share
):
    facts = network(3, "relu")
    assert first(condition, facts, **{share: 0.9, "first_share": 0.9}) == "Initialization()"
    killed = first(condition, facts, **{share: 0.9, "first_share": 0.1})
    assert killed == "LearningRate(factor=0.1, warmup=0)"


@pytest.mark.parametrize(
    ("optimizer", "momentum", "rate", "factor"),
    [
        ("SGD", 0.9, 3.0, 0.01),
        ("SGD", 0.0, 3.0, 0.03),
        ("SGD", 0.9, 0.05, 0.1),
        ("Adam", 0.9, 0.3, 0.01),
        ("Adam", 0.9, 1e9, 1e-06),
    ],
)
def test_a_rate_too_high_is_moved_to_what_is_usual_and_by_ten_at_least(
    optimizer, momentum, rate, factor
):
    facts = network(3, "relu", optimizer=optimizer, momentum=momentum)
    said = first("learning_rate_too_high", facts, rate=rate)
    assert said == f"LearningRate(factor={factor}, warmup=0)"


@pytest.mark.parametrize(
    ("rate", "factor"), [(1e-5, 3000.0), (1e-3, 30.0), (0.02, 10.0), (None, 10.0)]
)
def test_a_rate_too_low_is_moved_to_what_is_usual_and_by_ten_at_least(rate, factor):
    facts = network(3, "relu", momentum=0.9)
    evidence = {} if rate is None else {"rate": rate}
    said = first("learning_rate_too_low", facts, **evidence)
    assert said == f"LearningRate(factor={factor}, warmup=0)"


def test_an_explosion_that_came_in_training_is_answered_by_a_lower_rate():
    facts = network(3, "relu")
    assert first("exploding_gradients", facts, since=7).startswith("LearningRate(factor=0.1")


def recurrent(**facts) -> Facts:
    layers = (
        LayerFact("rnn", "RNN", "recurrent", 0, activation="tanh"),
        LayerFact("out", "Linear", "output", 1),
    )
    return Facts(layers=layers, optimizer="SGD", momentum=0.9, **facts)


@pytest.mark.parametrize(
    ("since", "rate", "names"),
    [
        (None, 0.01, ["Initialization", "LayerNorm", "ClipNorm"]),
        (None, 0.05, ["Initialization", "LayerNorm", "LearningRate"]),
        (9, 0.05, ["ClipNorm", "Initialization", "LayerNorm"]),
    ],
)
def test_recurrent_explosions_get_new_weights_unless_they_came_in_training(since, rate, names):
    finding = Finding("exploding_gradients", "severe", 0.9, (), since, {"rate": rate}, "Said.")
    assert [spec.name for spec in remedies_for(finding, recurrent())][:3] == names


def test_data_that_are_broken_are_for_the_user_to_mend():
    finding = Finding("non_finite", "severe", 1.0, (), 0, {"inputs": 1.0}, "Said.")
    assert remedies_for(finding, network(3, "relu")) == ()
