"""Which role a module or a function plays, by its type or its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from fitwell.records import Node, Role

ACTIVATION_NAMES: Mapping[str, str] = {
    "celu": "celu",
    "elu": "elu",
    "gelu": "gelu",
    "hardsigmoid": "hardsigmoid",
    "hardswish": "hardswish",
    "hardtanh": "hardtanh",
    "leakyrelu": "leaky_relu",
    "logsigmoid": "logsigmoid",
    "logsoftmax": "log_softmax",
    "mish": "mish",
    "prelu": "prelu",
    "relu": "relu",
    "relu6": "relu6",
    "rrelu": "rrelu",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "softmax": "softmax",
    "softplus": "softplus",
    "softsign": "softsign",
    "tanh": "tanh",
}
"""Slug of a node to the name that torch's functions have."""

_LAYERS = (nn.Linear, nn.Bilinear, nn.Embedding, nn.EmbeddingBag, nn.MultiheadAttention)
_CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_NORMALIZATIONS = (
    *(nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm),
    *(nn.LocalResponseNorm, nn.RMSNorm),
)
_DROPOUTS = (nn.modules.dropout._DropoutNd,)
_PADDINGS = (nn.modules.padding._ConstantPadNd, nn.ReflectionPad2d, nn.ReplicationPad2d)
_SHAPES = (
    *(nn.Flatten, nn.Unflatten, nn.Identity, nn.Upsample, nn.PixelShuffle, nn.ZeroPad2d),
    *(nn.modules.pooling._MaxPoolNd, nn.modules.pooling._AvgPoolNd, *_PADDINGS),
    *(nn.modules.pooling._AdaptiveAvgPoolNd, nn.modules.pooling._AdaptiveMaxPoolNd),
)
_WEIGHTED_CALLS = frozenset(
    "linear bilinear conv1d conv2d conv3d convtranspose1d convtranspose2d convtranspose3d "
    "embedding embeddingbag matmul rmatmul mm bmm addmm baddbmm einsum multiheadattentionforward "
    "rnntanh rnnrelu lstm gru".split()
)
_PRODUCTS = frozenset("matmul rmatmul mm bmm addmm baddbmm einsum".split())
_NORMALIZING_CALLS = frozenset(
    "batchnorm layernorm groupnorm instancenorm rmsnorm localresponsenorm normalize".split()
)
_SHAPE_CALLS = frozenset(
    "view reshape flatten unflatten permute transpose swapaxes movedim t squeeze unsqueeze expand "
    "expandas contiguous to float double half bfloat16 type typeas clone detach getitem get chunk "
    "split unbind cat concat stack pad narrow select roll repeat flip mean amax adaptiveavgpool1d "
    "adaptiveavgpool2d adaptivemaxpool2d avgpool1d avgpool2d maxpool1d maxpool2d maxpool2d "
    "interpolate pixelshuffle packpaddedsequence padpackedsequence".split()
)
ADDITIONS = frozenset("add radd iadd sub rsub".split())
GATING = frozenset("mul rmul imul lerp addcmul".split())
"""Functions in which one tensor can say how much of another passes."""
SCALING = frozenset("mul rmul imul div neg exp".split())
"""Functions of one tensor behind which a gate is still a gate, as the complement 1 - g."""
RESHAPING = frozenset(
    "view reshape flatten unflatten permute transpose swapaxes movedim squeeze unsqueeze expand "
    "expandas chunk split unbind getitem get".split()
)
"""Functions of shape alone: a gate is still a gate behind them."""


STANDARDIZING = "Standardize"
"""Name of the module of ours that scales inputs, in printed code too."""

_SPELLINGS = re.compile(
    r"^(?:new|quick|fast|accurate|clipped|pytorch)?(\w+?)(?:tanh)?(?:activation)?$"
)
"""Names that libraries give their own classes of a known activation, as ``NewGELUActivation``."""


def activation_name(node: Node | None) -> str:
    """Return the name of an activation as torch's functions spell it, or "" if it is none."""
    return ACTIVATION_NAMES.get(node.slug, "") if node is not None else ""


def is_normalization(module: nn.Module) -> bool:
    """Whether a module is a normalisation layer: torch's, or one that libraries write alike."""
    return isinstance(module, _NORMALIZATIONS) or _is_own_normalization(module)


def _is_own_normalization(module: nn.Module) -> bool:
    """Whether a module without children is called a norm and holds a scale for each unit."""
    if "norm" not in type(module).__name__.lower() or next(module.children(), None) is not None:
        return False
    own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    return bool(own) and all(tensor.dim() <= 1 for tensor in own)


def _does_more(module: nn.Module) -> bool:
    """Whether a library's form of a normalisation holds modules of its own, as an activation."""
    theirs = not type(module).__module__.startswith("torch.")
    return theirs and isinstance(module, _NORMALIZATIONS) and any(True for _ in module.children())


def _is_transposed_linear(module: nn.Module) -> bool:
    """Whether a module is the linear layer of GPT-2: ``Conv1D``, its weight (inputs, units)."""
    weight = getattr(module, "weight", None)
    return type(module).__name__ == "Conv1D" and isinstance(weight, Tensor) and weight.dim() == 2


def kind_of(module: nn.Module) -> str:
    """Return the class of a module; for a library's own form of an activation, that of torch's."""
    name = type(module).__name__
    if module_role(module) != Role.ACTIVATION or name.lower() in ACTIVATION_NAMES:
        return name
    slug = _own_activation(module)
    return next(kind for kind in vars(nn) if kind.lower() == slug)


def _own_activation(module: nn.Module) -> str:
    """Return the slug of the activation that a library's own class is, or ""."""
    plain = next(module.children(), None) is None and next(module.parameters(), None) is None
    found = _SPELLINGS.match(type(module).__name__.lower()) if plain else None
    return found[1] if found and found[1] in ACTIVATION_NAMES else ""


def module_role(module: nn.Module) -> Role | None:
    """Role of a module that is a node of its own, or None if one looks inside it."""
    roles: tuple[tuple[tuple[type, ...], Role], ...] = (
        ((*_LAYERS, *_CONVOLUTIONS), Role.LAYER),
        (_RECURRENT, Role.RECURRENT),
        (_NORMALIZATIONS, Role.NORMALIZATION),
        (_DROPOUTS, Role.DROPOUT),
        (_SHAPES, Role.SHAPE),
    )
    for types, role in roles:
        if isinstance(module, types):
            return None if _does_more(module) else role
    if _is_transposed_linear(module):
        return Role.LAYER
    if _is_own_normalization(module) or type(module).__name__ == STANDARDIZING:
        return Role.NORMALIZATION
    if _own_activation(module):
        return Role.ACTIVATION
    home = type(module).__module__
    if home.startswith("torch.nn.modules.") and next(module.children(), None) is None:
        slug = type(module).__name__.lower()
        return Role.ACTIVATION if slug in ACTIVATION_NAMES else Role.OTHER
    return None


def function_role(slug: str, sources: int, weighted: bool) -> Role:
    """Role of a function by its slug, the number of its producers, and whether it took weights."""
    if slug in _WEIGHTED_CALLS and weighted:
        recurrent = slug in ("rnntanh", "rnnrelu", "lstm", "gru")
        return Role.RECURRENT if recurrent else Role.LAYER
    if slug in _PRODUCTS:
        return Role.PRODUCT
    if slug in ACTIVATION_NAMES:
        return Role.ACTIVATION
    if slug in _NORMALIZING_CALLS:
        return Role.NORMALIZATION
    if "dropout" in slug:
        return Role.DROPOUT
    if slug == "scaleddotproductattention":
        return Role.ATTENTION
    if slug in ADDITIONS and sources > 1:
        return Role.ADD
    return Role.SHAPE if slug in _SHAPE_CALLS else Role.OTHER


def settings(module: nn.Module) -> dict[str, Any]:
    """Constructor arguments of a module of torch, as far as it lists them."""
    names = [*getattr(type(module), "__constants__", ()), "p", "nonlinearity", "negative_slope"]
    found = {n: getattr(module, n) for n in names if hasattr(module, n)}
    if _is_transposed_linear(module):
        inputs, units = module.get_parameter("weight").shape
        found |= {"in_features": inputs, "out_features": units, "transposed": True}
    if hasattr(module, "bias"):
        found["bias"] = isinstance(module.bias, Tensor) or bool(module.bias)
    if isinstance(module, (*_NORMALIZATIONS, *_RECURRENT)) and not _is_plain(module):
        found["own_forward"] = True
    return found


def _is_plain(module: nn.Module) -> bool:
    """Whether a module computes what its class in torch, or in fitwell, does."""
    home = getattr(type(module).forward, "__module__", "")
    return home.partition(".")[0] in ("torch", "fitwell")
