"""Batch norm breaks at tiny batches; layer norm does not."""

from collections.abc import Sequence
from functools import partial

from torch.optim import SGD

from fitwell import Recipe
from fitwell import remedies as r
from fitwell.claims.claim import Claim, Close, Larger
from fitwell.claims.courses import point
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import test_accuracies, trained
from fitwell.records import Lines, Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

BATCH_NORM, LAYER_NORM = say("batch norm"), say("layer norm")
ARMS = {
    BATCH_NORM: (Recipe(r.BatchNorm()), (2, 4, 8, 32)),
    LAYER_NORM: (Recipe(r.LayerNorm()), (1, 2, 4, 8, 32)),
}
AT_TWO, AT_32 = say("accuracy on test rows, batches of 2"), say("accuracy, batches of 32")
AT_ONE = say("accuracy on test rows, batches of 1")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train three hidden layers with either norm, by batches of 1 to 32 rows."""
    found, rows = {}, []
    for arm, (recipe, sizes) in ARMS.items():
        for size in sizes:
            task = digits_task(
                partial(mlp, (64, 32, 32, 32, 10)),
                epochs=8,
                optimizer=partial(SGD, lr=0.02),
                batch_size=size,
                shares=(0.3, 0.2, 0.5),
            )
            found[arm, size] = test_accuracies(trained(task, seeds, recipe))
            rows.append(point(arm, size, found[arm, size]))
    picture = Lines(
        *(say("Accuracy by the size of the batch"), say("rows in a batch")),
        *(say("accuracy on test rows"), tuple(rows)),
        log_x=True,
    )
    return Measured({}, (picture,))
