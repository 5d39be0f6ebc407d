"""Images that are turned and shifted anew in every step close the gap."""

from collections.abc import Sequence
from functools import partial

import torch
from torch.optim import AdamW

from fitwell import remedies as r
from fitwell.claims.claim import Claim, Smaller
from fitwell.claims.courses import GAP, TEST, finals, gaps, loss_gap, tested
from fitwell.claims.tasks import POOLED, mnist_task
from fitwell.claims.training import compared
from fitwell.recipe import Recipe
from fitwell.records import Images, Measured
from fitwell.tasks.models import mlp
from fitwell.words import say

PLAIN, AUGMENTED = say("plain"), say("augmented")
AUGMENT = r.Augment(0.5)


def experiment(seeds: Sequence[int]) -> Measured:
    """Train with and without augmentation, and show what the network is shown."""
    network, rate = partial(mlp, (196, 64, 10), flatten=True), partial(AdamW, lr=3e-3)
    task = mnist_task(network, rows=300, epochs=40, optimizer=rate, batch_size=50, pooled=True)
    arms = compared(task, seeds, {PLAIN: Recipe(), AUGMENTED: Recipe(AUGMENT)})
    digit = task.data.train.x[0]
    six, _ = AUGMENT.on_batch(digit.expand(6, 1, 14, 14), torch.zeros(6), torch.Generator())
    shown = [(say("as it is"), digit), *((AUGMENTED, image) for image in six.clamp(0, 1))]
    pixels = tuple((label, tuple(map(tuple, image[0].tolist()))) for label, image in shown)
    title = say("One digit, as the network is shown it in six steps")
    return Measured(
        {GAP: finals(arms, loss_gap), TEST: tested(arms)}, (Images(title, pixels), gaps(arms))
    )


CLAIM = Claim(
    number=3,
    name="augmentation",
    title=say("Augmentation closes the gap on images"),
    question=say("Is the gap narrower if images are turned, shifted and zoomed anew each time?"),
    data=POOLED,
    experiment=experiment,
    expects=(Smaller(AUGMENTED, PLAIN, of=GAP),),
    formula=r"\min_\theta \; \frac{1}{n} \sum_i \mathbb{E}_{T}\, \ell(f_\theta(T x_i), y_i)",
    explanation=say(
        "A digit that is turned a little is still the same digit. The network never sees the same "
        "image twice, so it cannot learn it by heart and must learn what stays the same. It takes "
        "longer to learn: here the accuracy is lower after as many epochs. What is done to the "
        "images must leave the labels true: a mirrored 2 is no 2, a 6 upside down is a 9. (Simard "
        "et al., 2003; Shorten & Khoshgoftaar, 2019.)"
    ),
    torch="""
        angle, shift = 0.5 * torch.rand(32) - 0.25, 0.2 * torch.rand(2, 32) - 0.1
        cos, sin = angle.cos(), angle.sin()
        turn = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], dim=1).view(32, 2, 3)
        grid = F.affine_grid(turn, images.shape, align_corners=False)
        shown = F.grid_sample(images, grid, align_corners=False)
    """,
    keras="""
        augment = keras.Sequential([
            keras.layers.RandomRotation(0.04, fill_mode="nearest"),
            keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest"),
            keras.layers.RandomZoom(0.1),
        ])
        shown = augment(images, training=True)
    """,
)
