"""More rows to learn from close the gap."""

from collections.abc import Sequence
from functools import partial

from fitwell.claims.claim import Claim, Smaller
from fitwell.claims.courses import GAP, TEST, Runs, both_losses, finals, loss_gap, tested
from fitwell.claims.tasks import DIGITS, digits_task
from fitwell.claims.training import trained
from fitwell.records import Lines, Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

ARMS = {say("{rows} rows", rows=rows): rows for rows in ("135", "270", "539", "1,078")}
EIGHTH, QUARTER, HALF, ALL = ARMS


def experiment(seeds: Sequence[int]) -> Measured:
    """Train on an eighth, a quarter, a half and all of the rows, with as many updates each."""
    task = digits_task(partial(mlp, (64, 128, 10)), epochs=20)
    shares: dict[str, float] = dict(zip(ARMS, (0.125, 0.25, 0.5, 1.0), strict=True))
    arms: Runs = {arm: trained(task, seeds, share=share) for arm, share in shares.items()}
    rows: dict[str, float] = {arm: share * len(task.data.train) for arm, share in shares.items()}
    return Measured(
        {GAP: finals(arms, loss_gap), TEST: tested(arms)},
        (
            Lines(
                say("The more rows, the closer the two losses"),
                *(say("rows to learn from"), say("loss after the last epoch")),
                both_losses(arms, rows),
                log_x=True,
            ),
        ),
    )


CLAIM = Claim(
    number=2,
    name="more-data",
    title=say("More data closes the gap"),
    question=say("What becomes of the gap as the rows to learn from double and double again?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Smaller(ALL, EIGHTH, of=GAP),
        Smaller(QUARTER, EIGHTH, of=GAP),
        Smaller(HALF, QUARTER, of=GAP),
        Smaller(ALL, HALF, of=GAP),
    ),
    formula=r"\mathrm{gap}(n) \approx a\, n^{-b}, \quad b > 0",
    explanation=say(
        "What is peculiar to single rows cancels out as rows are added, and what they have in "
        "common stays: a network that must serve more rows at once has less room to serve each by "
        "heart. All sizes make the same number of updates here, so that it is the rows that count "
        "and not the longer training. The gain of each doubling is smaller than that of the one "
        "before; it follows a power law over wide ranges (Hestness et al., 2017, "
        "arXiv:1712.00409), and it needs rows of the same kind: more of something else does not "
        "help."
    ),
    torch="""
        for share in (0.25, 0.5, 1.0):
            rows = torch.randperm(len(x))[: int(share * len(x))]
            fewer = torch.utils.data.TensorDataset(x[rows], y[rows])
            loader = torch.utils.data.DataLoader(fewer, batch_size=32, shuffle=True)
            # train a new network on it, and compare its losses on fewer and on unseen rows
    """,
    keras="""
        untrained = model.get_weights()
        for rows in (8, 16, 32):  # in random order; of few rows, more epochs
            model.set_weights(untrained)
            model.fit(x[:rows], y[:rows], epochs=64 // rows, verbose=0)
            print(rows, model.evaluate(x_val, y_val, verbose=0))
    """,
)
