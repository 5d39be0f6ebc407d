"""Two networks tried as one program: what comes out must be what each gives by itself."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fitwell.studies.stacked.masks import Masks
from fitwell.studies.stacked.program import Program, stacked, state_of, trained_parameters

_SEEDS = (11, 12)
"""Seeds of the dropouts in the trial."""


def differs(program: Program, models: Sequence[nn.Module], x: Tensor) -> str | None:
    """Say what comes out otherwise than from each network by itself, or None if nothing does.

    Outputs, gradients and buffers are compared after one pass in training, and outputs of one in
    evaluation. Torch's global random state is moved.

    Args:
        program: What works through such networks.
        models: Two networks of one structure.
        x: Rows to run.
    """
    parameters = stacked([trained_parameters(model) for model in models])
    if not parameters:
        return "the network has no parameters that are trained"
    state = stacked([state_of(model) for model in models])
    gradients = {name: torch.zeros_like(p) for name, p in parameters.items()}
    program.bind({**parameters, **state})
    program.accept(gradients)
    both = x.expand(2, *x.shape)
    outputs = program.train(both, Masks(models, _SEEDS).draw(both)).clone()
    pull = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape).to(outputs)
    program.backward(pull)
    evaluated = program.evaluate(both)
    for run, (model, seed) in enumerate(zip(models, _SEEDS, strict=True)):
        own, slopes, moved, settled = _alone(model, x, pull[run], seed)
        together = [gradients[name][run] for name in parameters]
        kinds = (
            ([own, settled], [outputs[run], evaluated[run]]),
            (slopes, together),
            (list(moved.values()), [state[name][run] for name in moved]),
        )
        if not all(_close(ones, others) for ones, others in kinds):
            return "trained together, the networks give other numbers"
    return None


def _alone(
    model: nn.Module, x: Tensor, pull: Tensor, seed: int
) -> tuple[Tensor, list[Tensor], dict[str, Tensor], Tensor]:
    """Return outputs, gradients, buffers, and outputs in evaluation, of one network by itself."""
    twin = copy.deepcopy(model).train()
    torch.manual_seed(seed)
    outputs = twin(x)
    trained = [p for p in twin.parameters() if p.requires_grad]
    slopes = list(torch.autograd.grad(outputs, trained, pull))
    twin.eval()
    with torch.no_grad():
        return outputs.detach(), slopes, state_of(twin), twin(x)


def _close(ones: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether tensors of one kind agree, to what rounding does to the largest of them."""
    scale = max((float(t.abs().max()) for t in ones if t.numel()), default=0.0)
    return all(
        torch.allclose(a, b, rtol=1e-3, atol=1e-4 * max(scale, 1e-6), equal_nan=True)
        for a, b in zip(ones, others, strict=True)
    )
