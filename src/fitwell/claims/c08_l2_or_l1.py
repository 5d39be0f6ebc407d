"""L2 is at least as accurate as L1 on most sets."""

from collections.abc import Sequence
from functools import partial
from operator import ge
from statistics import fmean
from typing import Any

from torch.optim import SGD

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import Scores, tested
from fitwell.claims.tasks import few_digits, mnist_task, table_task
from fitwell.claims.training import chosen, compared
from fitwell.recipe import Recipe
from fitwell.records import Bars, Measured
from fitwell.tasks.builtin.tables import breast_cancer, diabetes, wine
from fitwell.tasks.models import mlp
from fitwell.words import say

L1, L2 = say("L1"), say("L2")
GOOD = say("share of the five sets on which it is at least as good as the other")
SETTINGS: dict[str, Any] = {"epochs": 40, "optimizer": partial(SGD, lr=0.2), "batch_size": 64}
TABLES = {say("breast cancer"): breast_cancer, say("wine"): wine, say("diabetes (R²)"): diabetes}
PENALTIES: dict[str, dict[str, Recipe]] = {
    arm: {str(dose): Recipe(remedy(dose)) for dose in (0.0001, 0.001, 0.01, 0.1)}
    for arm, remedy in ((L1, r.L1), (L2, r.L2))
}


def experiment(seeds: Sequence[int]) -> Measured:
    """Train under both penalties, each with the λ that is best on validation, and score on test."""
    images = partial(mlp, (196, 32, 10), flatten=True)
    sets = {
        say("digits"): few_digits(32, **SETTINGS),
        say("MNIST"): mnist_task(images, rows=300, pooled=True, **SETTINGS),
        **{name: table_task(table(), (32,), **SETTINGS) for name, table in TABLES.items()},
    }
    scores: Scores = {}
    for name, task in sets.items():
        best = {arm: chosen(compared(task, seeds, doses)) for arm, doses in PENALTIES.items()}
        scores[name] = tested(best)
    good: dict[str, tuple[float, ...]] = {}
    for arm, other in ((L1, L2), (L2, L1)):
        as_good = [map(ge, of[arm], of[other]) for of in scores.values()]
        good[arm] = tuple(map(fmean, zip(*as_good, strict=True)))
    bars = tuple((name, arm, fmean(of[arm])) for name, of in scores.items() for arm in (L1, L2))
    picture = Bars(say("The score on test rows"), say("set"), say("accuracy"), bars)
    return Measured({GOOD: good, **scores}, (picture,))


CLAIM = Claim(
    number=8,
    name="l2-or-l1",
    title=say("L2 is at least as accurate as L1 on most sets"),
    question=say("Which of the two predicts better, each with the λ that suits it best?"),
    data=say("Five sets: two of handwritten digits, breast cancer, wine, diabetes"),
    experiment=experiment,
    expects=(Larger(L2, 0.5, of=GOOD),),
    formula=r"L + \lambda \sum |w| \quad \mathrm{or} \quad L + \frac{\lambda}{2} \sum w^2",
    explanation=say(
        "On most sets every input says a little, and L2 lets all of them speak, where L1 keeps a "
        "few and silences the rest. L1 does better where few inputs matter. Where both get the λ "
        "that suits them, little is left between them: here they are equal within a row or two on "
        "four sets of five, so that L1 too is at least as good as L2 on most. Take L2 to predict, "
        "L1 to learn what can be left out. (Ng, 2004: Feature selection, L1 vs. L2 "
        "regularization.)"
    ),
    torch="""
        cost = loss_fn(model(x), y)
        l2 = cost + 0.5 * 0.001 * sum((layer.weight**2).sum() for layer in (model[0], model[2]))
        l1 = cost + 0.001 * sum(layer.weight.abs().sum() for layer in (model[0], model[2]))
    """,
    keras="""
        l2 = keras.layers.Dense(256, kernel_regularizer=keras.regularizers.L2(0.0005))
        l1 = keras.layers.Dense(256, kernel_regularizer=keras.regularizers.L1(0.001))
    """,
)
