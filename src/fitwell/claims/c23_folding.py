"""Batch norm slows prediction; folding it away restores the time and keeps the outputs."""

from collections.abc import Sequence
from functools import partial
from statistics import fmean

import torch
from torch import Tensor, nn

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Close, Larger
from fitwell.claims.prediction_cost import operations, times
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import trained
from fitwell.recipe import Recipe
from fitwell.records import Bars, Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

PLAIN, BATCH_NORM, FOLDED = say("plain"), say("batch norm"), say("folded batch norm")
OPERATIONS = say("operations of one prediction")
OUTPUTS = say("largest change of an output by folding")
TIME = say("time of one prediction, as a multiple of the plain network's")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with and without batch norm, fold it, and predict 128 rows with all three."""
    task = digits_task(partial(mlp, (64, *[64] * 4, 10)), epochs=5)
    x = task.data.test.x[:128]
    plain = [fitted.model for fitted in trained(task, seeds)]
    normed = [fitted.model for fitted in trained(task, seeds, Recipe(r.BatchNorm()))]
    fold = Recipe(r.FoldBatchNorm())
    folded = [fold.apply(model, example_input=x).model.eval() for model in normed]
    nets: dict[str, list[nn.Module]] = {PLAIN: plain, BATCH_NORM: normed, FOLDED: folded}
    changes = [_change(a, b, x) for a, b in zip(normed, folded, strict=True)]
    taken = [times({arm: of[i] for arm, of in nets.items()}, x) for i in range(len(seeds))]
    ratios = {arm: tuple(own[arm] / own[PLAIN] for own in taken) for arm in nets}
    counts = {arm: tuple(operations(model, x) for model in of) for arm, of in nets.items()}
    bars = tuple((arm, say("mean over the seeds"), fmean(of)) for arm, of in ratios.items())
    return Measured(
        {OPERATIONS: counts, OUTPUTS: {FOLDED: tuple(changes)}, TIME: ratios},
        (Bars(say("Time of one prediction on this machine"), say("network"), TIME, bars),),
    )


@torch.no_grad()
def _change(one: nn.Module, other: nn.Module, x: Tensor) -> float:
    return float((one(x) - other(x)).abs().max())


CLAIM = Claim(
    number=23,
    name="folding",
    title=say("Batch norm slows prediction; folding it away restores the time"),
    question=say("Does a folded network do as little work as a plain one, with equal outputs?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Larger(BATCH_NORM, PLAIN, of=OPERATIONS),
        Close(FOLDED, PLAIN, of=OPERATIONS, within=0.0),
        Close(FOLDED, 0.0, of=OUTPUTS, within=0.001),
    ),
    formula=r"W' = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}} \, W, \quad "
    r"b' = \frac{\gamma \, (b - \mu)}{\sqrt{\sigma^2 + \varepsilon}} + \beta",
    explanation=say(
        "In evaluation the moving averages are fixed numbers, so that batch norm is a scale and a "
        "shift of every unit, and the layer before it can hold both. One operation a norm goes "
        "away, and the outputs stay equal up to rounding. What decides here is the count of "
        "operations, which is the same on every machine; the time is measured too, in turns, but "
        "depends on the machine and on the sizes: next to large matrix products or convolutions a "
        "norm hardly counts. Fold after training only (Jacob et al., 2018, section 3.2)."
    ),
    torch="""
        layer, norm = nn.Linear(64, 64), nn.BatchNorm1d(64)
        folded = nn.utils.fuse_linear_bn_eval(layer.eval(), norm.eval())
        rows = torch.randn(32, 64)
        assert torch.allclose(folded(rows), norm(layer(rows)), atol=1e-5)
    """,
    keras="""
        layer, norm = keras.layers.Dense(64), keras.layers.BatchNormalization()
        rows = keras.random.normal((32, 64))
        before = norm(layer(rows), training=False)
        scale = norm.gamma / keras.ops.sqrt(norm.moving_variance + norm.epsilon)
        layer.kernel.assign(layer.kernel * scale)
        layer.bias.assign((layer.bias - norm.moving_mean) * scale + norm.beta)
        assert keras.ops.max(keras.ops.abs(layer(rows) - before)) < 1e-4
    """,
)
