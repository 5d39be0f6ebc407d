"""Which finding explains which is decided by time, place and numbers, not by the table alone."""

from fitwell.prescribe import REMEDIES_FOR
from fitwell.prescribe.causes import fits, linked
from fitwell.prescribe.diagnosis import explained
from fitwell.records import Facts, Finding

LAYERS = ("a", "b", "c")
EXPLAINS = {condition: row.explains for condition, row in REMEDIES_FOR.items()}


def finding(condition, since=None, *, severity="severe", layers=(), until=None, **evidence):
    return Finding(
        condition, severity, 0.9, layers, since, evidence or {"x": 1.0}, "Said.", until=until
    )


def causes(*found) -> dict[str, str]:
    order = list(REMEDIES_FOR)
    ranked = sorted(found, key=lambda f: order.index(f.condition))
    chain = linked(ranked, EXPLAINS, LAYERS)
    return {f.condition: f.cause.condition for f in chain if f.cause is not None}


def test_a_huge_step_that_kills_units_that_stop_the_learning_is_one_chain_of_three():
    assert causes(
        finding("not_learning"),
        finding("dead_units", 4, dead_share=0.9, first_share=0.1),
        finding("learning_rate_too_high", 2),
    ) == {"dead_units": "learning_rate_too_high", "not_learning": "dead_units"}


def test_units_dead_before_the_first_step_are_not_the_work_of_a_step():
    rate = finding("learning_rate_too_high")
    born = finding("dead_units", dead_share=0.9, first_share=0.85)
    assert not fits(rate, born)
    assert causes(rate, born, finding("bad_initialization")) == {
        "dead_units": "bad_initialization",
        "learning_rate_too_high": "bad_initialization",
    }


def test_overfitting_and_a_wrong_mode_are_two_illnesses():
    assert causes(finding("overfitting", 50), finding("wrong_mode")) == {}


def test_what_begins_much_later_explains_nothing():
    broken = finding("non_finite", 10)
    assert fits(finding("exploding_gradients", 30), broken)
    assert not fits(finding("exploding_gradients", 31), broken)


def test_what_is_there_from_the_start_explains_whenever_it_was_noticed():
    assert fits(finding("unscaled_inputs", 500), finding("dead_units", 3, dead_share=1.0))


def test_a_spike_that_passed_explains_what_broke_in_it_and_not_how_the_run_ended():
    spike = finding("exploding_gradients", 10, until=15)
    assert fits(spike, finding("dead_units", 12, dead_share=0.9, first_share=0.0))
    assert not fits(spike, finding("dead_units", 300, dead_share=0.9, first_share=0.0))
    assert not fits(spike, finding("underfitting"))


def test_what_is_mild_does_not_explain_what_is_severe():
    assert not fits(finding("unscaled_inputs", severity="mild"), finding("vanishing_gradients"))
    assert fits(
        finding("unscaled_inputs", severity="mild"),
        finding("vanishing_gradients", severity="moderate"),
    )


def test_first_weights_of_a_later_layer_do_not_kill_an_earlier_one():
    dead = finding("dead_units", layers=("b",), dead_share=0.9, first_share=0.9)
    assert fits(finding("bad_initialization", layers=("a",)), dead, LAYERS)
    assert not fits(finding("bad_initialization", layers=("c",)), dead, LAYERS)


def test_a_gradient_dies_behind_dead_units_and_not_before_them():
    dead = finding("dead_units", layers=("b",))
    assert fits(dead, finding("vanishing_gradients", layers=("a",)), LAYERS)
    assert not fits(dead, finding("vanishing_gradients", layers=("c",)), LAYERS)


def test_a_gradient_too_large_from_the_start_makes_the_rate_too_high_and_not_the_reverse():
    rate = finding("learning_rate_too_high", 3)
    assert causes(rate, finding("exploding_gradients")) == {
        "learning_rate_too_high": "exploding_gradients"
    }
    assert causes(rate, finding("exploding_gradients", 5)) == {
        "exploding_gradients": "learning_rate_too_high"
    }


def test_weights_that_a_vanished_gradient_does_not_move_are_not_forgotten_ones():
    vanished = finding("vanishing_gradients", layers=("a", "b"))
    still = finding("untrained_parameters", layers=("a",), unmoved=1.0)
    assert causes(vanished, still) == {"untrained_parameters": "vanishing_gradients"}
    last = finding("untrained_parameters", layers=("c",), unmoved=1.0)
    assert causes(vanished, last) == {"vanishing_gradients": "untrained_parameters"}
    forgotten = finding("untrained_parameters", layers=("a",), forgotten=1.0)
    assert causes(vanished, forgotten) == {"vanishing_gradients": "untrained_parameters"}


def test_recurrent_weights_too_large_saturate_from_the_start():
    flat = finding("saturated_units", layers=("b",), saturated_share=0.9, first_share=0.9)
    assert not fits(finding("exploding_gradients", layers=("b",)), flat)
    assert fits(finding("exploding_gradients", layers=("b",), time_growth=2.0), flat)


def test_no_finding_explains_itself_whatever_explains_what():
    every = [finding(condition, 5, dead_share=0.9, first_share=0.0) for condition in REMEDIES_FOR]
    for found in linked(every, {c: tuple(REMEDIES_FOR) for c in REMEDIES_FOR}, LAYERS):
        assert found.root.cause is None


def test_a_structural_fault_leaves_what_it_explains_without_remedies():
    found = explained(
        [
            finding("loss_output_mismatch"),
            finding("vanishing_gradients"),
            finding("overfitting", 9),
        ],
        Facts(),
    )
    assert {f.condition: bool(f.remedies) for f in found} == {
        "loss_output_mismatch": False,
        "vanishing_gradients": False,
        "overfitting": True,
    }


def test_what_is_explained_names_only_remedies_of_its_root():
    root, effect = explained(
        [finding("bad_initialization"), finding("exploding_gradients")], Facts()
    )
    assert effect.cause is root
    assert set(effect.remedies) <= set(root.remedies)


def test_the_gravest_illness_comes_first_whatever_its_root():
    found = explained(
        [
            finding("unscaled_inputs", severity="moderate"),
            finding("non_finite", 3),
            finding("overfitting", 9, severity="moderate"),
        ],
        Facts(),
    )
    assert [f.condition for f in found] == ["unscaled_inputs", "overfitting", "non_finite"]
