"""The function ``treat`` of printed code."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from fitwell import surgery
from fitwell.recipe.changes import Operation
from fitwell.recipe.printing_edits import line_of
from fitwell.records import Edit, PruneUnits, Remake

FACTORY = "make_model: Callable[..., nn.Module]"
"""The argument of a ``treat`` that makes the network anew."""
_ROWS = "rows: Any = None"


def arguments_of(edits: Collection[Edit]) -> list[str]:
    """Return what ``treat`` takes besides the model, as a call names it."""
    return [
        *(["make_model"] if any(isinstance(edit, Remake) for edit in edits) else []),
        *(["rows"] if any(isinstance(e, (*surgery.MEASURING, PruneUnits)) for e in edits) else []),
    ]


def treat_source(operations: Sequence[Operation], example_input: object) -> str:
    """Return the source of ``treat``.

    Args:
        operations: What it does, in order.
        example_input: What the network can be called with; pruning has to call it.
    """
    edits = [edit for operation in operations for edit in operation.edits]
    arguments = arguments_of(edits)
    anew, pruned = "make_model" in arguments, any(isinstance(edit, PruneUnits) for edit in edits)
    declared = [{"make_model": FACTORY, "rows": _ROWS}[name] for name in arguments]
    lines = [
        f"def treat({', '.join(['model: nn.Module', *declared])}) -> nn.Module:",
        *_docstring(arguments),
        *([] if anew else ["    model = copy.deepcopy(model)"]),
    ]
    if operations:
        lines += [
            "    devices = sorted({p.device.index or 0 for p in model.parameters() if p.is_cuda})",
            "    with torch.random.fork_rng(devices=devices), torch.no_grad():",
        ]
    if pruned:
        lines.append(f"        example = {_like(example_input)} if rows is None else rows")
    for operation in operations:
        lines.append(f"        torch.manual_seed({operation.seed})")
        for edit in operation.edits:
            if isinstance(edit, surgery.MEASURING):
                lines += ["        if rows is not None:", f"            {line_of(edit)}"]
            else:
                lines.append(f"        {line_of(edit)}")
    return "\n".join([*lines, "    return model", ""])


def _docstring(arguments: Collection[str]) -> list[str]:
    first = '    """Return a treated copy of a model; the global random state is left as it was.'
    if not arguments:
        return [f'{first}"""']
    lines = [first, "", "    Args:", "        model: The untreated network; it is not changed."]
    if "make_model" in arguments:
        lines.append("        make_model: The function that makes it, called with other arguments.")
    if "rows" in arguments:
        lines += [
            "        rows: Training rows, as the model is called with them. Without them, what is",
            "            measured keeps its first values: load trained weights afterwards.",
        ]
    return [*lines, '    """']


def _like(value: object) -> str:
    """Return an expression for an input of the same shapes."""
    if isinstance(value, Tensor):
        shape = ", ".join(map(str, value.shape))
        if value.dtype == torch.float32:
            return f"torch.randn({shape})" if shape else "torch.zeros(())"
        if value.is_floating_point():
            return f"torch.randn({shape}).to({value.dtype})"
        return f"torch.zeros(({shape},), dtype={value.dtype})" if shape else repr(value.item())
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name!r}: {_like(part)}' for name, part in value.items())}}}"
    if isinstance(value, (tuple, list)):
        return f"({''.join(f'{_like(part)}, ' for part in value)})"
    return repr(value)
