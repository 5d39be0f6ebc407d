"""L1 makes weights exactly zero and finds the features that say nothing."""

from collections.abc import Sequence
from functools import partial
from operator import add
from statistics import fmean

from torch import nn
from torch.optim import SGD

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import Scores
from fitwell.claims.measures import unread, weights, zeros
from fitwell.claims.tasks import table_task
from fitwell.claims.training import compared, simplest
from fitwell.recipe import Recipe
from fitwell.records import Bars, Histogram, Measured
from fitwell.tasks.builtin.tables import breast_cancer, wine
from fitwell.words import say

PLAIN, L1, REAL, NOISE = say("plain"), say("L1"), say("real features"), say("planted noise")
ZEROS = say("share of weights exactly zero, breast cancer")
UNREAD = say("features no longer read, of 43")
TABLES = {say("wine, 13 of each"): wine, say("breast cancer, 30 of each"): breast_cancer}


def experiment(seeds: Sequence[int]) -> Measured:
    """Plant a shuffled copy of every feature, and train under the largest λ that does no harm."""
    sgd, doses = partial(SGD, lr=0.5), (0.0, 0.003, 0.01, 0.03)
    models: dict[str, list[tuple[nn.Module, ...]]] = {PLAIN: [], L1: []}
    values: Scores = {}
    for name, table in TABLES.items():
        task = table_task(table(), (16,), epochs=300, optimizer=sgd, batch_size=1000, noise=True)
        arms = compared(task, seeds, {str(dose): Recipe(r.L1(dose)) for dose in doses})
        for arm, of in ((PLAIN, arms["0.0"]), (L1, simplest(task, arms))):
            models[arm].append(tuple(one.model for one in of))
        halves = [unread(model).view(2, -1).sum(dim=1).tolist() for model in models[L1][-1]]
        values[name] = dict(zip((REAL, NOISE), zip(*halves, strict=True), strict=True))
    bars = tuple((t, side, fmean(of)) for t, v in values.items() for side, of in v.items())
    shown = {arm: tuple(weights(of[-1][0]).tolist()) for arm, of in models.items()}
    wines, tumours = values.values()
    values[ZEROS] = {arm: tuple(map(zeros, of[-1])) for arm, of in models.items()}
    values[UNREAD] = {side: tuple(map(add, wines[side], tumours[side])) for side in (REAL, NOISE)}
    return Measured(
        values,
        (
            Histogram(say("The weights of one network, breast cancer"), say("weight"), shown),
            Bars(say("What L1 no longer reads"), say("table"), say("features"), bars),
        ),
    )


CLAIM = Claim(
    number=5,
    name="l1",
    title=say("L1 makes weights exactly zero and finds irrelevant features"),
    question=say("Does the network stop reading features that were planted as noise?"),
    data=say("Wine and breast cancer, with a shuffled copy of each of their 43 features"),
    experiment=experiment,
    expects=(Larger(L1, PLAIN, of=ZEROS, by=0.5), Larger(NOISE, REAL, of=UNREAD)),
    formula=r"L + \lambda \sum |w|, \quad w \leftarrow \mathrm{sign}(w) \max(|w| - \eta\lambda, 0)",
    explanation=say(
        "The penalty pulls every weight toward zero with the same force, however small it is, and "
        "the step stops at zero, so a weight that the data do not hold up stays there. λ is the "
        "largest whose loss on validation is within one standard error of the best. Noise is "
        "found where each real feature says something of its own, as in wine. Where they repeat "
        "each other, as in breast cancer, L1 gives up the copies as readily as the noise: unread "
        "does not mean irrelevant. (Tibshirani, 1996; Zhao & Yu, 2006.)"
    ),
    torch="""
        with torch.no_grad():  # after every optimizer.step(): rate 0.1, λ 0.01
            for layer in (model[0], model[2]):
                layer.weight.copy_(F.softshrink(layer.weight, 0.1 * 0.01))
        unread = (model[0].weight == 0).all(dim=0)
    """,
    keras="""
        for layer in model.layers:  # after every step: rate 0.1, λ 0.01
            layer.kernel.assign(keras.ops.soft_shrink(layer.kernel, 0.1 * 0.01))
        unread = keras.ops.all(model.layers[0].kernel == 0, axis=1)
    """,
)
