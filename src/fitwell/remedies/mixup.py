"""Mixup: rows mixed with others, and their losses alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Generator, Tensor

from fitwell.errors import in_range
from fitwell.interfaces import Mixed, Plain, Remedy, Stage
from fitwell.records import Anatomy, Edit
from fitwell.remedies.leading import along, drawn, picked
from fitwell.remedies.rows import check_batch, check_input


@final
@dataclass(frozen=True, slots=True)
class Mixup(Remedy):
    """Train on mixtures of two rows, against the mixture of their losses.

    A batch is mixed with a random order of itself: λ x + (1 - λ) x', with λ from Beta(α, α), and
    its loss is λ loss(y) + (1 - λ) loss(y'). There is one λ for a batch, as in the authors' code: a
    loss that is a mean over the batch can then be used as it is, whatever it is, and no number of
    classes need be known. ``Treated.batch`` returns :class:`~fitwell.interfaces.Mixed` targets,
    which ``Treated.loss`` takes.

    Args:
        alpha: α, in (0, 10]: near 0 little is mixed, at 1 every λ is as likely.

    Raises:
        ThresholdError: If α is out of range.
        NotApplicable: On ``edit``, if the network does not read one tensor of floating-point rows.
        BadInput: On ``on_batch``, if the batch is not of that kind or mixed already.

    References:
        Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, arXiv:1710.09412.
    """

    stage: ClassVar[Stage] = Stage.BATCH
    mixes: ClassVar[bool] = True
    doses: ClassVar[tuple[str, ...]] = ("alpha",)

    alpha: float = 0.2

    def __post_init__(self) -> None:
        in_range("alpha", self.alpha, 0.0, 10.0, open_low=True)

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Change nothing of the network, but refuse one whose input cannot be mixed."""
        check_input(anatomy, "Mixup")
        return ()

    def on_batch(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Mixed]:
        """Return the mixed rows, and both targets of each."""
        check_batch("Mixup", x, y)
        return mix_rows(x, y, generator, alpha=self.alpha)

    def plain(self) -> Mapping[str, Plain]:
        """Name the function behind the seam."""
        needs = (Mixed, along, drawn, picked, drawn_share)
        return {"on_batch": Plain(mix_rows, {"alpha": self.alpha}, needs)}


def drawn_share(alpha: float | Tensor, generator: Generator | Sequence[Generator]) -> Tensor:
    """Draw a number in [0, 1] from Beta(alpha, alpha), for every run."""
    # Gamma(α) is Gamma(α + 1) U^(1/α); of a small α it would underflow, its logarithm does not.
    if isinstance(generator, Generator):
        two = torch.full((2,), float(alpha) + 1.0, dtype=torch.float64, device=generator.device)
        logarithms = torch._standard_gamma(two, generator=generator).log()
    else:
        alpha = torch.as_tensor(alpha, dtype=torch.float64, device=generator[0].device)[..., None]
        pairs = zip((alpha + 1.0).expand(len(generator), 2), generator, strict=True)
        gammas = [torch._standard_gamma(two, generator=g) for two, g in pairs]
        logarithms = torch.stack(gammas).log()
    uniform = drawn(torch.rand, 2, generator, dtype=torch.float64)
    logarithms = logarithms + uniform.log() / alpha
    return torch.sigmoid(logarithms[..., 0] - logarithms[..., 1])


def mix_rows(
    x: Tensor,
    y: Tensor,
    generator: Generator | Sequence[Generator],
    alpha: float | Tensor,
    lead: int = 0,
) -> tuple[Tensor, Mixed]:
    """Mix rows with others of the batch by one share; each keeps both targets."""
    share = drawn_share(alpha, generator).to(x)
    other = drawn(torch.randperm, x.shape[lead], generator)
    part = along(share, x, lead)
    mixed = part * x + (1 - part) * picked(x, other, lead)
    return mixed, Mixed(y, picked(y, other, lead), share)
