"""What cannot be used is refused in words, before anything is done."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from fitwell.errors import BadInput
from fitwell.recipe import Recipe
from fitwell.remedies import (
    L2,
    LSUV,
    Activation,
    Augment,
    ClipNorm,
    Dropout,
    Initialization,
    ScaleInputs,
)


def mlp():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


@pytest.mark.parametrize("value", ["false", None, 0, [True]])
@pytest.mark.parametrize(
    ("remedy", "flag"),
    [(L2, "decoupled"), (Augment, "flip"), (Initialization, "zero_init_residual")],
)
def test_a_flag_is_true_or_false(remedy, flag, value):
    with pytest.raises(BadInput, match=f"{flag} must be True or False"):
        remedy(**{flag: value})


def test_a_word_for_a_flag_on_the_command_line_is_not_taken_for_true():
    with pytest.raises(BadInput, match="decoupled must be True or False, got 'false'"):
        Recipe.from_text("l2(1e-3, decoupled=false)")
    assert Recipe.from_text("l2(1e-3, decoupled=False)").remedies == (L2(1e-3, decoupled=False),)


def test_a_list_is_no_kind_of_activation():
    with pytest.raises(BadInput, match="Unknown activation"):
        Activation([1])


@pytest.mark.parametrize("remedy", [Dropout(), ClipNorm()], ids=str)
@pytest.mark.parametrize(
    ("example", "told"),
    [
        (torch.ones(3, 5), r"torch.float32 \(3, 5\)"),
        (torch.ones(3, 4, dtype=torch.long), r"torch.int64 \(3, 4\)"),
        ({"ids": torch.ones(3, 4)}, r"\{ids: torch.float32 \(3, 4\)\}"),
        (("word",), r"\(str\)"),
    ],
)
def test_an_example_that_the_network_does_not_take_is_refused(remedy, example, told):
    with pytest.raises(BadInput, match=f"cannot be called with the example input.*{told}") as info:
        Recipe(remedy).apply(mlp(), example_input=example)
    assert isinstance(info.value.__cause__, (RuntimeError, TypeError))


def test_inputs_are_not_scaled_by_no_rows():
    with pytest.raises(BadInput, match="there are no rows to measure"):
        Recipe(ScaleInputs()).apply(mlp(), example_input=torch.ones(3, 4), data=torch.ones(0, 4))


@pytest.mark.parametrize("remedy", [ScaleInputs(), LSUV()], ids=str)
@pytest.mark.parametrize(
    ("data", "told"),
    [
        (torch.ones(9, 3), r"torch.float32 \(9, 3\)"),
        (TensorDataset(torch.ones(9, 4)), "TensorDataset"),
    ],
)
def test_rows_that_the_network_does_not_take_are_refused(remedy, data, told):
    with pytest.raises(BadInput, match=f"cannot be called with the training rows.*{told}"):
        Recipe(remedy).apply(mlp(), example_input=torch.ones(3, 4), data=data)
