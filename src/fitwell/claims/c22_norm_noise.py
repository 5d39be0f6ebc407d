"""The noise of batch norm's statistics regularises."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from fitwell.claims.claim import Claim, Smaller
from fitwell.claims.courses import courses, loss_gap
from fitwell.claims.tasks import MNIST, mnist_task
from fitwell.claims.training import final_gap, trained
from fitwell.records import Lines, Measured
from fitwell.words import say

ARMS = {
    125: say("statistics of all 125 rows of the batch"),
    25: say("statistics of 25 rows"),
    5: say("statistics of 5 rows"),
}
GAP = say("gap of the loss after the last epoch")
LOSS = say("loss on held-out rows after the last epoch")


class GhostBatchNorm(nn.BatchNorm1d):
    """Batch norm whose statistics are taken in training over a few rows of the batch at a time."""

    def __init__(self, units: int, rows: int) -> None:
        super().__init__(units)
        self.rows = rows

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (batch, units); the moving averages are those of the whole batch."""
        whole = super().forward(x)
        if not self.training:
            return whole
        groups = max(1, len(x) // self.rows)
        wide = x.reshape(len(x) // groups, -1)  # (rows that share a statistic, groups x units)
        scale, offset = self.weight.repeat(groups), self.bias.repeat(groups)
        return F.batch_norm(wide, None, None, scale, offset, True, 0.0, self.eps).reshape(x.shape)


def network(rows: int) -> nn.Sequential:
    """Return two hidden layers with batch norm over so many rows at a time."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(196, 64), GhostBatchNorm(64, rows), nn.ReLU()),
        *(nn.Linear(64, 64), GhostBatchNorm(64, rows), nn.ReLU(), nn.Linear(64, 10)),
    )


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with the same batches of 125 rows; only how many share a statistic differs."""
    runs = {
        arm: trained(
            mnist_task(
                partial(network, rows),
                epochs=30,
                batch_size=125,
                pooled=True,
                optimizer=partial(AdamW, lr=3e-3),
            ),
            seeds,
        )
        for rows, arm in ARMS.items()
    }
    gaps = {arm: tuple(final_gap(one.run) for one in of) for arm, of in runs.items()}
    losses = {
        arm: tuple(one.run.curves.validation_loss[-1] for one in of) for arm, of in runs.items()
    }
    title = say("The gap, epoch by epoch")
    picture = Lines(title, say("epoch"), say("gap of the loss"), courses(runs, loss_gap))
    return Measured({GAP: gaps, LOSS: losses}, (picture,))


CLAIM = Claim(
    number=22,
    name="norm-noise",
    title=say("The noise of batch norm regularises"),
    question=say("Do statistics of fewer rows, which are noisier, narrow the gap?"),
    data=MNIST,
    experiment=experiment,
    expects=(Smaller(ARMS[5], ARMS[125], of=GAP), Smaller(ARMS[5], ARMS[125], of=LOSS)),
    formula=r"\hat x_i = \frac{x_i - \mu_B}{\sigma_B}, \quad "
    r"\operatorname{Var}(\mu_B) = \frac{\sigma^2}{|B|}",
    explanation=say(
        "The mean and the deviation of a batch are estimates, and a row is drawn with other rows "
        "in every epoch: its hidden values jitter, the more the fewer rows share a statistic. "
        "That acts like dropout of a weak sort. Here batches, updates and moving averages are the "
        "same in all arms, and only the rows that share a statistic are fewer (ghost batches, "
        "Hoffer et al., 2017; Luo et al., 2019). In evaluation there is no such noise."
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
