"""A network with fewer units has a narrower gap."""

from collections.abc import Sequence

from fitwell.claims.claim import Claim, Smaller
from fitwell.claims.courses import GAP, TEST, Runs, both_losses, finals, loss_gap, tested
from fitwell.claims.tasks import DIGITS, few_digits
from fitwell.claims.training import trained
from fitwell.records import Lines, Measured
from fitwell.words import say

ARMS = {say("{units} units", units=units): units for units in (4, 16, 64, 256)}
FOUR, SIXTEEN, SIXTY_FOUR, LARGE = ARMS


def experiment(seeds: Sequence[int]) -> Measured:
    """Train networks of one hidden layer, each four times as wide as the one before."""
    arms: Runs = {arm: trained(few_digits(units), seeds) for arm, units in ARMS.items()}
    parameters = {arm: of[0].run.parameters for arm, of in arms.items()}
    return Measured(
        {GAP: finals(arms, loss_gap), TEST: tested(arms)},
        (
            Lines(
                say("The two losses by the size of the network"),
                *(say("parameters"), say("loss after the last epoch")),
                both_losses(arms, parameters),
                log_x=True,
            ),
        ),
    )


CLAIM = Claim(
    number=4,
    name="capacity",
    title=say("Less capacity closes the gap"),
    question=say("Is the gap narrower with 4, 16 or 64 hidden units than with 256?"),
    data=DIGITS,
    experiment=experiment,
    expects=tuple(Smaller(arm, LARGE, of=GAP) for arm in (FOUR, SIXTEEN, SIXTY_FOUR)),
    formula=r"\mathrm{gap} \lesssim \sqrt{\mathrm{capacity} / n}",
    explanation=say(
        "A small network has no room to store its rows, so it does nearly as badly on them as on "
        "others. That is how the gap closes here: the training loss rises, while the loss on "
        "unseen rows does not fall. A narrow gap alone is no gain. Networks far too large for "
        "their rows often predict best, because training finds simple solutions among the many "
        "that fit (Neyshabur et al., 2015, arXiv:1412.6614): shrink by what validation says, not "
        "by the gap."
    ),
    torch="""
        small = nn.Sequential(nn.Linear(784, 16), nn.ReLU(), nn.Linear(16, 10))
        before, after = (sum(p.numel() for p in m.parameters()) for m in (model, small))
    """,
    keras="""
        small = keras.Sequential([
            keras.layers.Input((784,)),
            keras.layers.Dense(16, activation="relu"),
            keras.layers.Dense(10),
        ])
        before, after = model.count_params(), small.count_params()
    """,
)
