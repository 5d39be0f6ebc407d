"""Batch norm takes batch statistics in training and moving ones in evaluation."""

from collections.abc import Sequence
from copy import deepcopy
from functools import partial

import torch
from torch import Tensor, nn

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Close, Larger
from fitwell.claims.norms import table_of
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import trained
from fitwell.recipe import Recipe
from fitwell.records import Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

TRAINING, EVALUATION = say("training"), say("evaluation")
MEAN = say("largest distance of a unit's mean from its β")
DEVIATION = say("largest distance of a unit's deviation from its γ")
OTHERS = say("change of one row's output when all other rows are exchanged")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with batch norm, and read the first norm of every network in both modes."""
    task = digits_task(partial(mlp, (64, 32, 32, 10)), epochs=10)
    networks = [fitted.model for fitted in trained(task, seeds, Recipe(r.BatchNorm()))]
    rows, others = task.data.test.x[:128], task.data.test.x[128:256].clone()
    others[0] = rows[0]
    read = {
        TRAINING: [_read(deepcopy(model).train(), rows, others) for model in networks],
        EVALUATION: [_read(model, rows, others) for model in networks],
    }
    table = networks[0].get_submodule("0.layer")(rows[:4])[:, :3].detach()  # (samples, features)
    by_columns = (table - table.mean(0)) / table.std(0, correction=0)
    by_rows = nn.functional.layer_norm(table, (3,))
    return Measured(
        {
            measure: {mode: tuple(one[place] for one in of) for mode, of in read.items()}
            for place, measure in enumerate((OTHERS, MEAN, DEVIATION))
        },
        (
            table_of(say("Batch norm: each column has mean 0, deviation 1"), by_columns, "columns"),
            table_of(say("Layer norm: each row has mean 0, deviation 1"), by_rows, "rows"),
            table_of(say("Before: what three units make of four digits"), table, ""),
        ),
    )


@torch.no_grad()
def _read(network: nn.Module, rows: Tensor, others: Tensor) -> tuple[float, float, float]:
    """Return what other rows change in the first norm, and how far it is from β and γ."""
    layer, norm = network.get_submodule("0.layer"), network.get_submodule("0.norm")
    out, among_others = norm(layer(rows)), norm(layer(others))
    offset, scale = norm.get_parameter("bias"), norm.get_parameter("weight")
    return (
        float((out[0] - among_others[0]).abs().max()),
        float((out.mean(0) - offset).abs().max()),
        float((out.std(0, correction=0) - scale.abs()).abs().max()),
    )


CLAIM = Claim(
    number=18,
    name="batch-statistics",
    title=say("Batch norm takes batch statistics in training, moving ones in evaluation"),
    question=say(
        "Does a row's output depend on the other rows, and has a unit mean β and deviation γ?"
    ),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Larger(TRAINING, EVALUATION, of=OTHERS, by=0.1),
        Close(EVALUATION, 0.0, of=OTHERS, within=0.00001),
        Close(TRAINING, 0.0, of=MEAN, within=0.001),
        Close(TRAINING, 0.0, of=DEVIATION, within=0.01),
    ),
    formula=r"y = \gamma \, \frac{x - \mu_B}{\sqrt{\sigma_B^2 + \varepsilon}} + \beta",
    explanation=say(
        "In training a unit is normalised by the mean and the variance of the batch, so that over "
        "the batch its output has mean β and deviation γ (a shade less, because of ε): both are "
        "learned. What comes out for a row then depends on which rows it was drawn with. In "
        "evaluation moving averages of those statistics stand in, and a row is treated the same "
        "in any company; over a given batch the mean is then only near β. Forgetting to switch "
        "the mode is a common mistake (Ioffe & Szegedy, 2015). Layer norm cuts the same table by "
        "rows: it needs no batch and no averages."
    ),
    torch="""
        norm = nn.BatchNorm1d(64)
        hidden = nn.Linear(64, 64)(torch.randn(32, 64))
        norm.train()  # batch statistics; moves the averages
        in_training = norm(hidden)
        norm.eval()  # moving averages
        in_evaluation = norm(hidden)
    """,
    keras="""
        norm = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
        hidden = keras.random.normal((32, 64))
        in_training = norm(hidden, training=True)
        in_evaluation = norm(hidden, training=False)
    """,
)
