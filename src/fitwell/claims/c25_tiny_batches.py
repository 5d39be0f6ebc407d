"""Batch norm breaks at tiny batches; layer norm does not."""

from collections.abc import Sequence
from functools import partial

from torch.optim import SGD

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger, Smaller
from fitwell.claims.courses import Values, by_setting, point
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import test_accuracies, trained
from fitwell.recipe import Recipe
from fitwell.records import Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

BATCH_NORM, LAYER_NORM = say("batch norm"), say("layer norm")
ARMS = {
    BATCH_NORM: (Recipe(r.BatchNorm()), (2, 4, 8, 32)),
    LAYER_NORM: (Recipe(r.LayerNorm()), (1, 2, 4, 8, 32)),
}
AT_TWO = say("accuracy on test rows, trained by batches of 2")
AT_ONE = say("accuracy on test rows, trained by batches of 1")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train three hidden layers with either norm, by batches of 1 to 32 rows."""
    found: dict[tuple[str, int], tuple[float, ...]] = {}
    rows = []
    for arm, (recipe, sizes) in ARMS.items():
        for size in sizes:
            task = digits_task(
                partial(mlp, (64, 32, 32, 32, 10)),
                epochs=6,
                optimizer=partial(SGD, lr=0.05),
                batch_size=size,
                shares=(0.334, 0.2, 0.466),  # 600 rows, so that no batch of 2 is one row short
            )
            found[arm, size] = test_accuracies(trained(task, seeds, recipe))
            rows.append(point(arm, size, found[arm, size]))
    picture = by_setting(say("Accuracy by the size of the batch"), say("rows in a batch"), rows)
    at_two: Values = {arm: found[arm, 2] for arm in ARMS}
    return Measured({AT_TWO: at_two, AT_ONE: {LAYER_NORM: found[LAYER_NORM, 1]}}, (picture,))


CLAIM = Claim(
    number=25,
    name="tiny-batches",
    title=say("Batch norm breaks at tiny batches, layer norm does not"),
    question=say("Do batches of one or two rows spoil a network with batch norm, or layer norm?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Smaller(BATCH_NORM, LAYER_NORM, of=AT_TWO, by=0.1),
        Larger(LAYER_NORM, 0.8, of=AT_ONE),
    ),
    formula=r"|B| = 2: \quad \hat x_{1,2} = \frac{\pm (x_1 - x_2) / 2}{|x_1 - x_2| / 2} = \pm 1, "
    r"\qquad |B| = 1: \quad \hat x = 0",
    explanation=say(
        "Of two rows batch norm keeps only which one is larger: every unit puts out β + γ or "
        "β - γ, and the moving averages of evaluation fit nothing that was seen in training. Of "
        "one row the deviation is 0 and every output β, whatever the input; PyTorch refuses to "
        "train so, Keras does it silently. Layer norm takes its statistics over the features of "
        "each row and never sees the batch. In convolutions a channel has many positions, so that "
        "batch norm wears off more slowly there (Wu & He, 2018)."
    ),
    torch="""
        hidden = nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU()
        network = nn.Sequential(*hidden, nn.Linear(64, 10))
        logits = network(torch.randn(1, 64))  # a batch of one row is no problem
    """,
    keras="""
        layers = keras.layers
        hidden = [layers.Dense(64), layers.LayerNormalization(), layers.ReLU()]
        network = keras.Sequential([*hidden, layers.Dense(10)])
        logits = network(keras.random.normal((1, 64)))
    """,
)
