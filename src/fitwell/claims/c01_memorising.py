"""A network that is large for its data learns the rows by heart."""

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter

import torch

from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import SEEN, UNSEEN, Scores, courses, finals
from fitwell.claims.tasks import DIGITS, QUICK, few_digits
from fitwell.claims.training import trained
from fitwell.records import Lines, Measured
from fitwell.tasks import Split, Task
from fitwell.words import say

TRUE, MIXED = say("accuracy with the true labels"), say("accuracy with shuffled labels")
SIDES = {SEEN: attrgetter("train_metric"), UNSEEN: attrgetter("validation_metric")}


def experiment(seeds: Sequence[int]) -> Measured:
    """Train on the true labels and on shuffled ones, and score both sides."""
    task = few_digits(256)
    rows = task.data.train
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))
    data = replace(task.data, train=Split(rows.x, rows.y[order]))
    mixed = Task(
        *("mixed", task.make_model, data, "cross_entropy", "accuracy"), optimizer=QUICK, epochs=60
    )
    fitted = {TRUE: trained(task, seeds), MIXED: trained(mixed, seeds)}
    values: Scores = {}
    pictures = []
    for measure, of in fitted.items():
        values[measure] = {side: finals({side: of}, read)[side] for side, read in SIDES.items()}
        lines = [row for side, read in SIDES.items() for row in courses({side: of}, read)]
        pictures.append(Lines(measure, say("epoch"), say("accuracy"), tuple(lines)))
    return Measured(values, tuple(pictures))


CLAIM = Claim(
    number=1,
    name="memorising",
    title=say("A network that is large for its data learns it by heart"),
    question=say(
        "Does a network of 19,000 weights do better on 180 rows than on rows it never saw?"
    ),
    data=DIGITS,
    experiment=experiment,
    expects=(
        Larger(SEEN, UNSEEN, of=TRUE, by=0.02),
        Larger(SEEN, 0.98, of=TRUE),
        Larger(SEEN, UNSEEN, of=MIXED, by=0.5),
        Larger(SEEN, 0.9, of=MIXED),
    ),
    formula=r"\mathrm{gap} = L_{\mathrm{validation}} - L_{\mathrm{training}}",
    explanation=say(
        "With a hundred weights for every row there are many ways to get all of them right, and "
        "most of them say little about other rows. Shuffle the labels, so that there is nothing "
        "to understand, and the network learns them all the same: it has the room to store each "
        "row. That it still does well on true labels shows that room alone is not the harm; "
        "digits are easy, and on harder data the gap is wider. (Zhang et al., 2017, "
        "arXiv:1611.03530.)"
    ),
    torch="""
        model.eval()
        with torch.no_grad():
            seen = (model(x).argmax(1) == y).float().mean()
            unseen = (model(x_val).argmax(1) == y_val).float().mean()
    """,
    keras="""
        history = model.fit(x, y, validation_data=(x_val, y_val), epochs=2, verbose=0).history
        seen, unseen = history["accuracy"][-1], history["val_accuracy"][-1]
    """,
)
