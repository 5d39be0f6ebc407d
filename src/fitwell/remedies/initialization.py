"""Initial weights that keep signals and gradients level from layer to layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod, sqrt
from typing import Any, ClassVar, final

from fitwell.errors import BadInput, NotApplicable, is_flag
from fitwell.interfaces import Remedy, Stage
from fitwell.records import Anatomy, Edit, Initialize, Node, Role
from fitwell.remedies.places import follower, is_convolution, is_linear
from fitwell.remedies.residuals import branch_ends

SCHEMES = (
    *("auto", "xavier_uniform", "xavier_normal", "he_uniform", "he_normal"),
    *("lecun_normal", "orthogonal"),
)
"""Schemes that :class:`Initialization` offers."""

_RECTIFIERS = frozenset(
    "relu relu6 leakyrelu prelu rrelu elu celu gelu silu mish softplus hardswish".split()
)
_LEAKY_SLOPES: Mapping[str, float] = {"leakyrelu": 0.01, "prelu": 0.25}
_GATES: Mapping[str, int] = {"LSTM": 4, "GRU": 3, "LSTMCell": 4, "GRUCell": 3}


@final
@dataclass(frozen=True, slots=True)
class Initialization(Remedy):
    """Draw the weights anew, with a variance that suits the activation which follows.

    With n_in inputs and n_out outputs of a unit, Xavier has σ = √(2 / (n_in + n_out)) or the
    uniform bound ±√(6 / (n_in + n_out)); He has σ = √(2 / ((1 + a²) n_in)) or ±√(6 / ((1 + a²)
    n_in)), where a is the slope of a leaky ReLU. (Some texts give √(2 / n_in) as He's uniform
    bound: that is its normal σ.) ``"auto"`` takes He where a function of the ReLU family follows,
    LeCun's σ = √(1 / n_in) where SELU does, and Xavier elsewhere: sigmoid, tanh, output layers.

    Biases become zero. Recurrent weights become orthogonal, the block of each gate by itself; the
    weights on the input of a recurrent layer are Xavier's (He's under a ReLU), block by block.
    Embeddings, attention, normalisation and weights that are computed from others keep theirs.

    With ``zero_init_residual`` every residual block begins as the identity, so that the variance
    does not grow from block to block: the scale of the norm that its branch ends with becomes zero
    (Goyal), or, where it ends without a norm, the weights of its last layer (Fixup). Either gets a
    gradient from the first step on.

    Args:
        scheme: ``"auto"``, or one scheme for every linear layer and convolution:
            ``"xavier_uniform"``, ``"xavier_normal"``, ``"he_uniform"``, ``"he_normal"``,
            ``"lecun_normal"`` or ``"orthogonal"`` (with the gain of the ReLU family).
        zero_init_residual: Whether the branches of residual blocks begin at zero.

    Raises:
        BadInput: If the scheme is unknown, or ``zero_init_residual`` is no flag.
        NotApplicable: On ``edit``, if there is no weight to draw, or no residual block that could
            begin at zero.

    References:
        Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", AISTATS 2010. He et al., 2015, arXiv:1502.01852.
        Klambauer et al., 2017, arXiv:1706.02515 (SELU). Saxe et al., 2014, arXiv:1312.6120.
        Goyal et al., 2017, arXiv:1706.02677, section 5.1; Zhang et al., "Fixup Initialization",
        2019, arXiv:1901.09321 (residual branches at zero).
    """

    stage: ClassVar[Stage] = Stage.INITIALIZATION

    scheme: str = "auto"
    zero_init_residual: bool = False

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise BadInput(f"Unknown scheme {self.scheme!r}: expected one of {', '.join(SCHEMES)}.")
        is_flag("zero_init_residual", self.zero_init_residual)

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Fill every weight and bias once, in the order in which the layers run."""
        kept = {
            name for node in anatomy.nodes if "embedding" in node.slug for name in node.parameters
        }
        found: dict[tuple[str, tuple[int, int] | None], Edit] = {}
        for layer in anatomy.layers:
            for edit in self._layer(anatomy, layer):
                if edit.parameter not in kept:
                    found.setdefault((edit.parameter, edit.rows), edit)
        if not found:
            kinds = ", ".join(f"{n.path or n.kind} ({n.kind})" for n in anatomy.layers) or "none"
            raise NotApplicable(
                "No linear layer, convolution or recurrent layer found to initialise.\n"
                f"  layers present: {kinds}"
            )
        return [*found.values(), *(_zeros(anatomy) if self.zero_init_residual else ())]

    def _layer(self, anatomy: Anatomy, layer: Node) -> list[Initialize]:
        names = {name.rpartition(".")[2]: name for name in layer.parameters}
        if layer.role == Role.RECURRENT and not layer.functional:
            return _recurrent(layer, uniform=self.scheme.endswith("uniform"))
        if not (is_linear(layer) or is_convolution(layer)) or "weight" not in names:
            return []
        edits = [_weight(names["weight"], layer, *self._scheme(anatomy, layer))]
        if "bias" in names:
            edits.append(Initialize(names["bias"], "zeros_"))
        return edits

    def _scheme(self, anatomy: Anatomy, layer: Node) -> tuple[str, float]:
        """Return the scheme for a layer, and the slope of the leaky ReLU that follows."""
        activation, _ = follower(anatomy, layer)
        slug = activation.slug if activation else ""
        slope = _LEAKY_SLOPES.get(slug, 0.0)
        if activation is not None:
            slope = float(activation.settings.get("negative_slope", slope))
        if self.scheme != "auto":
            return self.scheme, slope
        if slug == "selu":
            return "lecun_normal", 0.0
        return ("he_normal", slope) if slug in _RECTIFIERS else ("xavier_normal", 0.0)


def _zeros(anatomy: Anatomy) -> list[Edit]:
    """Return what makes every residual block begin as the identity."""
    edits: dict[str, Edit] = {}
    reasons = []
    for addition, ends in branch_ends(anatomy):
        if isinstance(ends, str):
            reasons.append(f"the branch added in {addition.path or 'the network'} {ends}")
            continue
        for name in (name for end in ends for name in _last(end)):
            edits[name] = Initialize(name, "zeros_")
    if not edits:
        raise NotApplicable(
            "No residual block found whose branch could begin at zero.\n  "
            + ("\n  ".join(reasons) or "nothing is added to what it was made of")
        )
    return list(edits.values())


def _last(end: Node) -> Sequence[str]:
    """Return the parameters of the end of a branch that make it zero."""
    if end.functional:
        return end.parameters
    own = {name.rpartition(".")[2]: name for name in end.parameters}
    if end.role == Role.NORMALIZATION:  # its offset is zero already
        return [own["weight"]]
    projection = [n for n in end.parameters if n.endswith(("out_proj.weight", "out_proj.bias"))]
    return projection or [own[kind] for kind in ("weight", "bias") if kind in own]


def _weight(name: str, layer: Node, scheme: str, slope: float) -> Initialize:
    """Fill one weight; by torch's own function where that counts the inputs right."""
    if scheme == "orthogonal":
        return Initialize(name, "orthogonal_", {"gain": sqrt(2 / (1 + slope**2))})
    family, _, shape = scheme.partition("_")
    fan_in, fan_out = _fans(layer)
    gain = {"he": 2 / (1 + slope**2), "lecun": 1.0, "xavier": 1.0}[family]
    fan = (fan_in + fan_out) / 2 if family == "xavier" else fan_in
    transposed = layer.kind.startswith("ConvTranspose") or layer.settings.get("transposed")
    if transposed or (family == "xavier" and layer.settings.get("groups", 1) > 1):
        sigma = sqrt(gain / fan)
        if shape == "normal":
            return Initialize(name, "normal_", {"std": sigma})
        return Initialize(name, "uniform_", {"a": -sqrt(3) * sigma, "b": sqrt(3) * sigma})
    if family == "xavier":
        return Initialize(name, f"xavier_{shape}_")
    args: dict[str, Any] = {"nonlinearity": "linear" if family == "lecun" else "relu"}
    if family == "he" and slope:
        args = {"a": slope, "nonlinearity": "leaky_relu"}
    return Initialize(name, f"kaiming_{shape}_", args)


def _fans(layer: Node) -> tuple[float, float]:
    """Inputs that one output has, and outputs that one input has, of a layer."""
    s = layer.settings
    if is_linear(layer):
        return s["in_features"], s["out_features"]
    window = prod(s["kernel_size"])
    fan_in = s["in_channels"] / s["groups"] * window
    fan_out = s["out_channels"] / s["groups"] * window
    if layer.kind.startswith("ConvTranspose"):
        return fan_in / prod(s["stride"]), fan_out
    return fan_in, fan_out


def _recurrent(layer: Node, *, uniform: bool) -> list[Initialize]:
    """Fill the weights of a recurrent layer, the block of each gate by itself."""
    gates = _GATES.get(str(layer.settings.get("mode", layer.kind)), 1)
    hidden = int(layer.settings["hidden_size"])
    rectified = (
        "relu" in str(layer.settings.get("mode", layer.settings.get("nonlinearity", ""))).lower()
    )
    shape = "uniform" if uniform else "normal"
    inputs: tuple[str, dict[str, Any]] = (f"xavier_{shape}_", {})
    if rectified:
        inputs = (f"kaiming_{shape}_", {"nonlinearity": "relu"})
    edits = []
    for name in layer.parameters:
        own = name.rpartition(".")[2]
        blocks = [(i * hidden, (i + 1) * hidden) for i in range(gates)] if gates > 1 else [None]
        if own.startswith("bias"):
            edits.append(Initialize(name, "zeros_"))
        elif own.startswith("weight_hr"):
            edits.append(Initialize(name, f"xavier_{shape}_"))
        elif own.startswith("weight_hh"):
            edits += [Initialize(name, "orthogonal_", rows=rows) for rows in blocks]
        elif own.startswith("weight_ih"):
            edits += [Initialize(name, *inputs, rows=rows) for rows in blocks]
    return edits
