"""The noise of batch norm's statistics regularises."""

from collections.abc import Sequence
from functools import partial

from torch import nn
from torch.optim import AdamW

from fitwell.claims.claim import Claim, Smaller
from fitwell.claims.courses import GAP, Runs, finals, gaps, loss_gap
from fitwell.claims.norms import GhostBatchNorm
from fitwell.claims.tasks import POOLED, mnist_task
from fitwell.claims.training import trained
from fitwell.records import Measured
from fitwell.words import say

ARMS = {
    125: say("statistics of all 125 rows of the batch"),
    25: say("statistics of 25 rows"),
    5: say("statistics of 5 rows"),
}
LOSS = say("loss on held-out rows after the last epoch")


def network(rows: int) -> nn.Sequential:
    """Return two hidden layers with batch norm over so many rows at a time."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(196, 64), GhostBatchNorm(64, rows), nn.ReLU()),
        *(nn.Linear(64, 64), GhostBatchNorm(64, rows), nn.ReLU(), nn.Linear(64, 10)),
    )


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with the same batches of 125 rows; only how many share a statistic differs."""
    optimizer = partial(AdamW, lr=3e-3)
    make = partial(mnist_task, epochs=30, batch_size=125, pooled=True, optimizer=optimizer)
    runs: Runs = {arm: trained(make(partial(network, rows)), seeds) for rows, arm in ARMS.items()}
    losses = finals(runs, lambda curves: curves.validation_loss)
    return Measured({GAP: finals(runs, loss_gap), LOSS: losses}, (gaps(runs),))


CLAIM = Claim(
    number=22,
    name="norm-noise",
    title=say("The noise of batch norm regularises"),
    question=say("Do statistics of fewer rows, which are noisier, narrow the gap?"),
    data=POOLED,
    experiment=experiment,
    expects=(Smaller(ARMS[5], ARMS[125], of=GAP), Smaller(ARMS[5], ARMS[125], of=LOSS)),
    formula=r"\hat x_i = \frac{x_i - \mu_B}{\sigma_B}, \quad "
    r"\operatorname{Var}(\mu_B) = \frac{\sigma^2}{|B|}",
    explanation=say(
        "The mean and the deviation of a batch are estimates, and a row meets other rows in every "
        "epoch: its hidden values jitter, the more the fewer rows share a statistic. Batches, "
        "updates and moving averages are the same in all arms here; only those rows are fewer "
        "(ghost batches, Hoffer et al., 2017). It does not help here: with five rows the gap "
        "opens later, but it is as wide in the end, and the loss on new rows is higher. The noise "
        "slows the learning by heart and does not prevent it. In convolutional networks trained "
        "by large batches it has been seen to help (Luo et al., 2019): measure it on your data."
    ),
    torch="""
        def ghost(norm, x, rows):  # x: (batch, units); noisier the fewer rows
            return torch.cat([norm(part) for part in x.split(rows)])

        out = ghost(nn.BatchNorm1d(64), torch.randn(128, 64), rows=16)
    """,
    keras="""
        norm = keras.layers.BatchNormalization()
        hidden = keras.random.normal((128, 64))
        parts = keras.ops.split(hidden, 8)  # 8 ghost batches of 16 rows
        out = keras.ops.concatenate([norm(part, training=True) for part in parts])
    """,
)
