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
from fitwell.claims.courses import TEST, learning, tested
from fitwell.claims.tasks import MNIST, rows_task
from fitwell.claims.training import trained
from fitwell.recipe import Recipe
from fitwell.records import Arrows, Measured
from fitwell.tasks.models import RowReader
from fitwell.words import say

PLAIN, CLIPPED = say("not clipped"), say("clipped at norm 1")
SLOW = say("a tenth of the rate instead")
NETWORK, RATE = partial(RowReader, 28, 32, 10, gain=3.0), partial(SGD, lr=0.5)
CLIP = r.ClipNorm(1.0)


def arrows(x: Tensor, y: Tensor) -> tuple[tuple[str, float, float], ...]:
    """Return the first gradient of three batches: length and angle to the first are true."""
    torch.manual_seed(0)
    network, first = NETWORK(), Tensor()
    drawn: list[tuple[str, float, float]] = []
    for number, rows in enumerate(torch.randperm(len(x))[:150].view(3, 50), 1):
        loss = cross_entropy(network(x[rows]), y[rows])
        gradients = torch.autograd.grad(loss, list(network.parameters()))
        found = {str(n): gradient for n, gradient in enumerate(gradients)}
        whole = torch.cat([g.flatten() for g in found.values()])
        first = whole if number == 1 else first
        clipped = CLIP.on_gradients(found, {}, {})
        short = torch.cat([g.flatten() for g in clipped.values()])
        names = say("batch {number}", number=number), say("batch {number}, clipped", number=number)
        for name, vector in zip(names, (whole, short), strict=True):
            angle = acos(min(1.0, float(cosine_similarity(vector, first, dim=0))))
            length = float(vector.norm())
            drawn.append((name, length * cos(angle), length * sin(angle)))
    return tuple(drawn)


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with and without clipping at one rate, and without at a tenth of it."""
    task = rows_task(NETWORK, epochs=5, optimizer=RATE, batch_size=50)
    runs = {
        PLAIN: trained(task, seeds),
        CLIPPED: trained(task, seeds, Recipe(CLIP)),
        SLOW: trained(task, seeds, rate=0.1),
    }
    title, train = say("The gradient keeps its direction"), task.data.train
    return Measured(
        {TEST: tested(runs)},
        (
            Arrows(title, arrows(train.x, train.y), radius=1.0),
            learning(runs),
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
        "The recurrent weights are three times PyTorch's own, so that the gradient grows on its "
        "way back through the rows: the first ones are several times as long as the limit. Steps "
        "along them throw the weights so far that the net does not find back. Clipping shortens "
        "the gradient to a norm of 1 and keeps its direction. How far it holds: a tenth of the "
        "rate does about as well here, so that clipping buys a larger rate and safety against the "
        "one bad step rather than accuracy; a net with six times the weights stayed at chance, "
        "clipped or not; and it cannot bring back what vanishes. (Pascanu et al. 2013.)"
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
