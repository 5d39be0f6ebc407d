"""Xavier suits tanh and is poor for deep ReLU; He suits ReLU."""

from collections.abc import Sequence
from functools import partial

from torch import nn
from torch.optim import SGD

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import TEST, learning, tested
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import trained
from fitwell.recipe import Recipe
from fitwell.records import Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

ARMS = {
    (XAVIER_TANH := say("tanh with Xavier")): (nn.Tanh, "xavier_normal"),
    (HE_TANH := say("tanh with He")): (nn.Tanh, "he_normal"),
    (XAVIER_RELU := say("ReLU with Xavier")): (nn.ReLU, "xavier_normal"),
    (HE_RELU := say("ReLU with He")): (nn.ReLU, "he_normal"),
}


def experiment(seeds: Sequence[int]) -> Measured:
    """Train twenty hidden layers of tanh and of ReLU from each of the two initialisations."""
    runs = {}
    for arm, (activation, scheme) in ARMS.items():
        network = partial(mlp, (64, *[64] * 20, 10), activation=activation)
        task = digits_task(network, epochs=12, optimizer=partial(SGD, lr=0.05))
        runs[arm] = trained(task, seeds, Recipe(r.Initialization(scheme)))
    return Measured({TEST: tested(runs)}, (learning(runs),))


CLAIM = Claim(
    number=17,
    name="xavier-he",
    title=say("Xavier suits tanh and is poor for deep ReLU; He suits ReLU"),
    question=say("Which initial weights suit which activation?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Larger(HE_RELU, XAVIER_RELU, of=TEST, by=0.2),
        Larger(XAVIER_TANH, 0.8, of=TEST),
        Larger(XAVIER_TANH, XAVIER_RELU, of=TEST, by=0.2),
    ),
    formula=(
        r"\sigma_\mathrm{Xavier} = \sqrt{\frac{2}{n_\mathrm{in} + n_\mathrm{out}}}, \quad "
        r"\sigma_\mathrm{He} = \sqrt{\frac{2}{n_\mathrm{in}}}"
    ),
    explanation=say(
        "ReLU sets half of its inputs to zero, and so halves the mean square of the signal. Xavier "
        "does not know of it: after twenty layers a millionth of the mean square is left, and the "
        "gradient is as small. He's weights have twice the variance and make up for it. Around "
        "zero tanh is a straight line of slope 1, for which Xavier is right. He's larger weights "
        "do tanh no harm at this depth: they make up for the bend of its curve. The claim is that "
        "Xavier suits tanh, not that nothing else does. (Glorot and Bengio 2010; He et al. 2015.)"
    ),
    torch="""
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")  # tanh: xavier_normal_
                nn.init.zeros_(layer.bias)
    """,
    keras="""
        keras.layers.Dense(64, activation="relu", kernel_initializer="he_normal")
        keras.layers.Dense(64, activation="tanh", kernel_initializer="glorot_normal")
    """,
)
