"""Batch norm slows prediction; folding it away restores the time and keeps the outputs."""

import time
from collections.abc import Sequence
from functools import partial
from statistics import fmean, median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from fitwell import Recipe
from fitwell import remedies as r
from fitwell.claims.claim import Claim, Close, Larger
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import trained
from fitwell.records import Bars, Measured
from fitwell.studies.training import reproducible
from fitwell.tasks.models import mlp
from fitwell.words import say

PLAIN, BATCH_NORM, FOLDED = say("plain"), say("batch norm"), say("batch norm, folded")
OPERATIONS = say("operations of one prediction")
OUTPUTS = say("largest change of an output by folding")
FREE = (torch.ops.aten.t.default, torch.ops.aten.empty.memory_format)
TIME = say("time of one prediction, as a multiple of the plain network's")


class Operations(TorchDispatchMode):
    """Counts the operations that compute something: no views, no reserving of memory."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count one operation and do it."""
        self.count += func not in FREE
        return func(*args, **(kwargs or {}))


@torch.no_grad()
def experiment(seeds: Sequence[int]) -> Measured:
    """Train with and without batch norm, fold it, and predict 128 rows with all three."""
    with torch.enable_grad():
        task = digits_task(partial(mlp, (64, *[64] * 4, 10)), epochs=5)
        nets = {PLAIN: [one.model for one in trained(task, seeds)]}
        nets[BATCH_NORM] = [one.model for one in trained(task, seeds, Recipe(r.BatchNorm()))]
    x = task.data.test.x[:128]
    fold = Recipe(r.FoldBatchNorm())
    nets[FOLDED] = [fold.apply(model, example_input=x).model.eval() for model in nets[BATCH_NORM]]
    pairs = zip(nets[BATCH_NORM], nets[FOLDED], strict=True)
    changes = tuple(float((one(x) - other(x)).abs().max()) for one, other in pairs)
    operations = {arm: tuple(_operations(model, x) for model in of) for arm, of in nets.items()}
    times = [_times(models, x) for models in zip(*nets.values(), strict=True)]
    ratios = {arm: tuple(t[i] / t[0] for t in times) for i, arm in enumerate(nets)}
    bars = tuple((arm, arm, fmean(of)) for arm, of in ratios.items())
    return Measured(
        {OPERATIONS: operations, OUTPUTS: {FOLDED: changes}, TIME: ratios},
        (Bars(say("Time of one prediction on this machine"), say("network"), TIME, bars),),
    )


def _operations(model: nn.Module, x: Tensor) -> float:
    with Operations() as counted:
        model(x)
    return float(counted.count)


def _times(models: Sequence[nn.Module], x: Tensor) -> list[float]:
    """Return the processor time of each network: the median of blocks that take turns."""
    blocks: list[list[float]] = [[] for _ in models]
    with reproducible(0):
        for _ in range(15):
            for model, own in zip(models, blocks, strict=True):
                started = time.thread_time()
                for _ in range(20):
                    model(x)
                own.append(time.thread_time() - started)
    return [median(own) for own in blocks]


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
