"""The larger λ, the smaller the weights; too large, and the network underfits."""

from collections.abc import Sequence
from operator import attrgetter

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Smaller
from fitwell.claims.courses import TEST, Scores, finals, point, tested
from fitwell.claims.measures import weights
from fitwell.claims.tasks import DIGITS, PLAIN_SGD, few_digits
from fitwell.claims.training import compared
from fitwell.recipe import Recipe
from fitwell.records import Lines, Measured
from fitwell.words import say

DOSES = {say("λ = {strength}", strength=f"{dose:g}"): dose for dose in (0.0, 0.001, 0.01, 0.1)}
NONE, WEAK, MEDIUM, STRONG = DOSES
NORM, TRAINING = say("norm of the weights"), say("accuracy on rows it learned from")


def experiment(seeds: Sequence[int]) -> Measured:
    """Train under L2 of four strengths."""
    task = few_digits(64, epochs=80, optimizer=PLAIN_SGD)
    arms = compared(task, seeds, {arm: Recipe(r.L2(dose)) for arm, dose in DOSES.items()})
    norms = {arm: tuple(float(weights(one.model).norm()) for one in of) for arm, of in arms.items()}
    training = finals(arms, attrgetter("train_metric"))
    values: Scores = {NORM: norms, TRAINING: training, TEST: tested(arms)}
    lines = {
        measure: tuple(point(measure, DOSES[arm], of[arm]) for arm in (WEAK, MEDIUM, STRONG))
        for measure, of in values.items()
    }
    scores = lines[TRAINING] + lines[TEST]
    return Measured(
        values,
        (
            Lines(say("The weights by λ"), say("λ"), NORM, lines[NORM], log_x=True),
            Lines(say("The scores by λ"), say("λ"), say("accuracy"), scores, log_x=True),
        ),
    )


CLAIM = Claim(
    number=7,
    name="strength",
    title=say("Larger λ, smaller weights; too large underfits"),
    question=say("What do ten, a hundred and a thousand times the λ do to weights and score?"),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Smaller(WEAK, NONE, of=NORM),
        Smaller(MEDIUM, WEAK, of=NORM),
        Smaller(STRONG, MEDIUM, of=NORM),
        Smaller(STRONG, NONE, of=TRAINING, by=0.05),
        Smaller(STRONG, NONE, of=TEST, by=0.05),
    ),
    formula=r"\nabla L(w^*) + \lambda w^* = 0",
    explanation=say(
        "Training ends where the pull of the penalty holds the pull of the data, so a stronger "
        "penalty ends at smaller weights. A network with small weights is smooth: it can no "
        "longer bend around single rows, and in the end not around the classes either. Then it is "
        "bad on the rows it learned from as well, and that is underfitting. The λ between is "
        "found on validation rows, in steps of ten or three. (Krogh & Hertz, 1991.)"
    ),
    torch="""
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
        loss_fn(model(x), y).backward()
        optimizer.step()
        norm = torch.cat([p.flatten() for p in model.parameters()]).norm()
    """,
    keras="""
        optimizer = keras.optimizers.SGD(0.1, weight_decay=0.01)
        model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.fit(x, y, verbose=0)
        norm = sum(keras.ops.sum(w**2) for w in model.trainable_variables) ** 0.5
    """,
)
