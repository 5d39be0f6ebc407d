"""Clipping makes a recurrent net trainable whose gradient explodes."""

from collections.abc import Sequence
from functools import partial
from math import acos, cos, sin

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy
from torch.optim import SGD

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Larger
from fitwell.claims.courses import TEST, courses, tested
from fitwell.claims.tasks import MNIST, rows_task
from fitwell.claims.training import trained
from fitwell.recipe import Recipe
from fitwell.records import Arrows, Lines, Measured
from fitwell.tasks.models import RowReader
from fitwell.words import say

PLAIN, CLIPPED = say("not clipped"), say("clipped at norm 1")
SLOW = say("not clipped, a tenth of the rate")
NETWORK, RATE = partial(RowReader, 28, 32, 10, gain=2.0), partial(SGD, lr=0.5)
CLIP = r.ClipNorm(1.0)


def gradients(x: Tensor, y: Tensor) -> dict[int, tuple[Tensor, Tensor]]:
    """Return gradients of the first steps without clipping: as they are, and as clipped."""
    torch.manual_seed(0)
    network = NETWORK()
    optimizer, found = RATE(network.parameters()), {}
    for number, rows in enumerate(torch.randperm(len(x))[:550].view(11, 50), 1):
        optimizer.zero_grad()
        cross_entropy(network(x[rows]), y[rows]).backward()  # type: ignore[no-untyped-call]
        before = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
        after = CLIP.on_gradients(before, {}, {})
        pair = [torch.cat([g.flatten() for g in of.values()]) for of in (before, after)]
        found[number] = (pair[0], pair[1])
        optimizer.step()
    return {number: found[number] for number in (1, 6, 11)}


def arrows(x: Tensor, y: Tensor) -> tuple[tuple[str, float, float], ...]:
    """Return some gradients before and after: length and angle to the first are the true ones."""
    found, rows = gradients(x, y), []
    for number, (before, after) in found.items():
        names = say("step {number}", number=number), say("step {number}, clipped", number=number)
        for name, vector in zip(names, (before, after), strict=True):
            angle = acos(min(1.0, float(cosine_similarity(vector, found[1][0], dim=0))))
            length = float(vector.norm())
            rows.append((name, length * cos(angle), length * sin(angle)))
    return tuple(rows)


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with and without clipping at one rate, and without at a tenth of it."""
    task = rows_task(NETWORK, epochs=4, optimizer=RATE, batch_size=50)
    runs = {
        PLAIN: trained(task, seeds),
        CLIPPED: trained(task, seeds, Recipe(CLIP)),
        SLOW: trained(task, seeds, rate=0.1),
    }
    train, curves = task.data.train, courses(runs, lambda of: of.validation_loss)
    title, loss = say("Reading digits row by row"), say("loss on validation")
    return Measured(
        {TEST: tested(runs)},
        (
            Arrows(say("The gradient keeps its direction"), arrows(train.x, train.y), radius=1.0),
            Lines(title, say("epoch"), loss, curves, log_y=True),
        ),
    )


CLAIM = Claim(
    number=15,
    name="clipping",
    title=say("Clipping makes a recurrent net trainable whose gradient explodes"),
    question=say("Does a limit on the gradient's norm let a recurrent net train?"),
    data=MNIST,
    experiment=experiment,
    expects=(Larger(CLIPPED, PLAIN, of=TEST, by=0.1),),
    formula=r"g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert}\right)",
    explanation=say(
        "The recurrent weights are twice PyTorch's own, just large enough to stretch. Every few "
        "steps the loss has a cliff, and one gradient is many times as long as the others: the "
        "step along it throws away what was learned. Clipping shortens the gradient to a norm of "
        "1 and keeps its direction. How far it holds: a tenth of the rate avoids the cliffs as "
        "well, here without loss, so that clipping buys a rate and safety rather than accuracy; "
        "and it cannot bring back what vanishes. (Pascanu et al. 2013.)"
    ),
    torch="""
        optimizer.zero_grad()
        loss_fn(model(x), y).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()
    """,
    keras="""
        keras.optimizers.SGD(learning_rate=0.5, global_clipnorm=1.0)
    """,
)
