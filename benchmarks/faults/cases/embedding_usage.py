"""How often a text uses a word: a table of who uses what, as recommendations are made from."""

from __future__ import annotations

from typing import Any

import torch
from benchmarks.faults import sides, texts
from benchmarks.faults.case import program
from benchmarks.faults.data import split
from benchmarks.faults.lab import Lab
from benchmarks.faults.spoiling import spoil
from benchmarks.faults.training import Loop, train
from torch import Tensor, nn

TEXTS, WORDS = 200, 300


class Usage(nn.Module):
    """Vectors of texts and words side by side, through two layers, to one number."""

    def __init__(self, width: int, *, last: str, flat: bool) -> None:
        super().__init__()
        self.texts = nn.Embedding(TEXTS, width)
        self.words = nn.Embedding(WORDS, width)
        self.hidden, self.act = nn.Linear(2 * width, 32), nn.ReLU()
        self.head = nn.Linear(32, 1)
        kinds = {"": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
        self.last = kinds[last]()
        self.flat = flat

    def forward(self, pairs: Tensor) -> Tensor:
        both = torch.cat([self.texts(pairs[:, 0]), self.words(pairs[:, 1])], dim=1)
        out = self.last(self.head(self.act(self.hidden(both))))
        return out.squeeze(1) if self.flat else out


@program("embedding", "regression", split="held-out")
def usage(
    lab: Lab,
    *,
    width: int = 8,
    rows: int = 5000,
    last: str = "",
    flat: bool = True,
    centred: bool = True,
    weights: float | None = None,
    hidden_bias: float | None = None,
    renumbered: bool = False,
    **loop: Any,
) -> dict[str, float]:
    model = spoil(Usage(width, last=last, flat=flat), gain=weights)
    spoil(model, only="hidden", bias=hidden_bias)
    x, y = texts.usage(TEXTS, WORDS)
    y = (y - y.mean()) / y.std() if centred else y
    found = split((x, y), rows, 1500, lab.seed)
    if renumbered:
        number = sides.renumbered(WORDS)
        found = sides.shifted(found, lambda z: torch.stack([z[:, 0], number(z[:, 1])], 1))
    given = {"rate": 2e-3, "epochs": 6, "batch": 64, "logs": "val", "decay": 1e-4, **loop}
    return train(lab, model, nn.MSELoss(), found, Loop(**given))


CASES = (
    usage.healthy("usage"),
    usage.healthy("usage-raw-counts", centred=False),
    usage.sick("usage-memorises", "overfitting", rows=600, width=32, epochs=60, decay=0.0,
               repair={"rows": 600, "width": 32, "epochs": 3, "decay": 0.0}),
    usage.sick("usage-broadcast", "loss_output_mismatch", flat=False),
    usage.sick("usage-relu-output", "loss_output_mismatch", last="relu", accept=("dead_units",)),
    usage.sick("usage-sigmoid-output", "loss_output_mismatch", last="sigmoid"),
    usage.sick("usage-huge-weights", "bad_initialization", weights=20.0,
               accept=("exploding_gradients",)),
    usage.sick("usage-dead-hidden", "dead_units", hidden_bias=-8.0, layers=("hidden",),
               accept=("bad_initialization",)),
    usage.sick("usage-rate-high", "learning_rate_too_high", rate=1.0),
    usage.sick("usage-rate-low", "learning_rate_too_low", rate=3e-6, visible_at=40),
    usage.sick("usage-misplaced-targets", "not_learning", misplaced=True, epochs=3,
               visible_at=40),
    usage.sick("usage-embeddings-forgotten", "untrained_parameters", only=("hidden", "head"),
               layers=("texts", "words")),
    usage.sick("usage-no-zero-grad", "accumulated_gradients", zero_grad=False, visible_at=1),
    usage.sick("usage-other-vocabulary", "distribution_shift", renumbered=True),
)  # fmt: skip
