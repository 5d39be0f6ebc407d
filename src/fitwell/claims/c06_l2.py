"""L2 makes weights small, not zero."""

from collections.abc import Sequence

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Close, Larger, Smaller
from fitwell.claims.measures import size, weights, zeros
from fitwell.claims.tasks import DIGITS, PLAIN_SGD, few_digits
from fitwell.claims.training import compared
from fitwell.recipe import Recipe
from fitwell.records import Histogram, Measured
from fitwell.words import say

PLAIN, L1, L2 = say("plain"), say("L1"), say("L2")
SIZE, ZEROS = say("root mean square of the weights"), say("share of weights exactly zero")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train without a penalty, with L2 and, to compare, with L1 of the same λ."""
    task = few_digits(64, epochs=80, optimizer=PLAIN_SGD)
    recipes = {PLAIN: Recipe(), L2: Recipe(r.L2(0.01)), L1: Recipe(r.L1(0.01))}
    arms = compared(task, seeds, recipes)
    models = {arm: [one.model for one in of] for arm, of in arms.items()}
    return Measured(
        {
            SIZE: {arm: tuple(map(size, of)) for arm, of in models.items()},
            ZEROS: {arm: tuple(map(zeros, of)) for arm, of in models.items()},
        },
        (
            Histogram(
                say("The weights of one network after training"),
                say("weight"),
                {arm: tuple(weights(of[0]).tolist()) for arm, of in models.items()},
            ),
        ),
    )


CLAIM = Claim(
    number=6,
    name="l2",
    title=say("L2 makes weights small, not zero"),
    question=say("What becomes of the weights under L2, and what under L1 of the same λ?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Smaller(L2, PLAIN, of=SIZE),
        Close(L2, 0.0, of=ZEROS, within=0.001),
        Larger(L1, L2, of=ZEROS, by=0.5),
    ),
    formula=r"L + \frac{\lambda}{2} \sum w^2, \quad w \leftarrow w - \eta (\nabla L + \lambda w)",
    explanation=say(
        "The pull of L2 is in proportion to the weight: every step takes the same share of it, so "
        "large weights lose much, small ones little, and none ever reaches zero. L1 pulls at all "
        "with the same force and does reach it. So L2 spreads what it learns over many small "
        "weights, L1 keeps a few. In Adam the two ways of writing L2, in the loss and as weight "
        "decay, are not the same (Loshchilov & Hutter, 2019, arXiv:1711.05101)."
    ),
    torch="""
        decayed = [p for name, p in model.named_parameters() if "weight" in name]
        others = [p for name, p in model.named_parameters() if "weight" not in name]
        optimizer = torch.optim.SGD(
            [{"params": decayed, "weight_decay": 0.01}, {"params": others}], lr=0.1
        )
    """,
    keras="""
        half = keras.regularizers.L2(0.005)  # Keras adds λ Σ w², without the ½
        layer = keras.layers.Dense(256, activation="relu", kernel_regularizer=half)
    """,
)
