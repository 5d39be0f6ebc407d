"""Wine with 5 % of the training labels flipped: a remedy must not make it worse."""

import torch

from fitwell import tasks


def task() -> tasks.Task:
    """Return the built-in task with every twentieth training label moved to the next class."""
    wine = tasks.builtin()["wine"].make()
    data = wine.data
    labels = data.train.y.clone()
    flipped = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    flipped = flipped[: round(0.05 * len(labels))]
    labels[flipped] = (labels[flipped] + 1) % len(data.classes)
    return tasks.Task(
        "wine-flipped",
        wine.make_model,
        train=(data.train.x, labels),
        loss="cross_entropy",
        metric="accuracy",
        validation=(data.validation.x, data.validation.y),
        test=(data.test.x, data.test.y),
        optimizer=wine.make_optimizer,
        batch_size=wine.batch_size,
        epochs=wine.epochs,
    )
