"""Batch norm together with dropout: better than either alone, or not?"""

from collections.abc import Sequence
from operator import attrgetter

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import GAP, TEST, courses, finals, loss_gap, tested
from fitwell.claims.tasks import DIGITS, few_digits
from fitwell.claims.training import compared
from fitwell.recipe import Recipe
from fitwell.records import Lines, Measured
from fitwell.words import say

NEITHER, NORM, DROPOUT, BOTH = say("neither"), say("batch norm"), say("dropout"), say("both")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with both, with either, and with neither."""
    recipes: dict[str, Recipe] = {
        NEITHER: Recipe(),
        NORM: Recipe(r.BatchNorm()),
        DROPOUT: Recipe(r.Dropout(0.5)),
        BOTH: Recipe(r.BatchNorm(), r.Dropout(0.5)),
    }
    arms = compared(few_digits(128, 128), seeds, recipes)
    lines = courses(arms, attrgetter("validation_loss"))
    title = say("The loss on unseen rows, epoch by epoch")
    return Measured(
        {TEST: tested(arms), GAP: finals(arms, loss_gap)},
        (Lines(title, say("epoch"), say("loss"), lines, log_y=True),),
    )


CLAIM = Claim(
    number=27,
    name="batch-norm-and-dropout",
    title=say("Batch norm together with dropout: better than either alone"),
    question=say("Does a network with both predict better than the better of the two alone?"),
    data=DIGITS,
    experiment=experiment,
    expects=(Larger(BOTH, NORM, of=TEST), Larger(BOTH, DROPOUT, of=TEST)),
    formula=r"h = m \odot \mathrm{ReLU}(\mathrm{BN}(W x)) / (1 - p)",
    explanation=say(
        "Both regularise by noise, and noise that one has brought in the other need not bring "
        "again. They also disturb each other: dropout makes values scatter more in training than "
        "in evaluation, so that the averages of a batch norm behind it do not fit (Li et al., "
        "2019, arXiv:1801.05134). Here each alone is about a point better than neither, and both "
        "are no better than the better one. With other widths and rates the order changed by half "
        "a point either way: try both, and keep the second only if validation says so."
    ),
    torch="""
        block = [nn.Linear(784, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.5)]
        network = nn.Sequential(*block, nn.Linear(256, 10))
    """,
    keras="""
        network = keras.Sequential([
            keras.layers.Dense(256, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(10),
        ])
    """,
)
