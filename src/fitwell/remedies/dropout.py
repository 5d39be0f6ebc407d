"""Dropout after hidden activations, and inside recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

from fitwell.errors import BadInput, NotApplicable, in_range
from fitwell.interfaces import Remedy, Stage
from fitwell.records import (
    Anatomy,
    Configure,
    Edit,
    InsertAfter,
    ModuleSpec,
    Node,
    Replace,
    ReplaceCall,
    Role,
)
from fitwell.remedies.places import (
    activations_present,
    calls,
    hidden_activations,
    hidden_functions,
    is_convolution,
    is_recurrent,
    layers_before,
    site,
)
from fitwell.remedies.recurrence import is_cell, opened

KINDS = ("auto", "plain", "spatial", "variational")
"""Kinds that :class:`Dropout` offers."""

NAME = "dropout"
"""Name of the new module beside the one that it follows."""

_SCALING = frozenset({"relu", "leakyrelu"})
"""Activations with f(c x) = c f(x) for c >= 0: dropout before them is the same as after them."""

_FUNCTIONS: Mapping[str, str] = {
    "dropout": "Dropout",
    "dropout1d": "Dropout1d",
    "dropout2d": "Dropout2d",
    "dropout3d": "Dropout3d",
    "alpha_dropout": "AlphaDropout",
    "feature_alpha_dropout": "FeatureAlphaDropout",
}
_SPATIAL = frozenset({"Dropout1d", "Dropout2d", "Dropout3d"})


@final
@dataclass(frozen=True, slots=True)
class Dropout(Remedy):
    """Set a random share of the hidden activations to zero in training, and scale up the rest.

    It stands after every hidden activation. Where that is a function called inside a ``forward``,
    it follows the module that feeds a ReLU or a leaky ReLU, which has exactly the same effect;
    other functions are followed where ``torch.fx`` can trace that forward. Dropout that is there
    already gets the new rate, functional one included; in attention, what is no module of its own
    (``nn.MultiheadAttention``, the functions of transformers) keeps its rate.

    Variational dropout drops units of the input and of the state of a recurrent layer, the same
    ones at every step of a sequence: the layer becomes :class:`fitwell.modules.Recurrent` with the
    same weights. Cells that are called once a step keep theirs: they do not know where a sequence
    begins.

    Args:
        rate: Share of the activations dropped, in [0, 0.99].
        kind: ``"plain"`` drops single values everywhere, and between the layers of an LSTM.
            ``"spatial"`` drops whole channels, after convolutions alone. ``"variational"`` acts
            in recurrent layers alone. ``"auto"`` is spatial after convolutions, variational in
            recurrent layers of a single layer, and plain elsewhere; what is there keeps its kind.

    Raises:
        BadInput: If the kind is unknown.
        ThresholdError: If the rate is out of range.
        NotApplicable: On ``edit``, if there is no place for it. On ``apply``, if all places are
            functions in a forward that cannot be traced; file and line are named.

    References:
        Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
        JMLR 2014. Tompson et al., 2015, arXiv:1411.4280 (spatial dropout).
        Gal & Ghahramani, 2016, arXiv:1512.05287 (variational dropout).
    """

    stage: ClassVar[Stage] = Stage.DROPOUT
    doses: ClassVar[tuple[str, ...]] = ("rate",)

    rate: float = 0.5
    kind: str = "auto"

    def __post_init__(self) -> None:
        in_range("rate", self.rate, 0.0, 0.99)
        if self.kind not in KINDS:
            raise BadInput(f"Unknown dropout {self.kind!r}: expected one of {', '.join(KINDS)}.")

    def edit(self, anatomy: Anatomy) -> Sequence[Edit]:
        """Raise or lower what is there, and insert what is missing."""
        edits: list[Edit] = []
        if self.kind != "variational":
            edits += self._there(anatomy)
            edits += self._missing(anatomy)
        edits += self._recurrent(anatomy)
        if edits:
            return edits
        wanted = {
            "spatial": "no hidden activation follows convolutions",
            "variational": "no recurrent layer of torch takes it",
        }.get(self.kind, "no activation to follow stands between the layers, and no dropout")
        reasons = "".join(f"\n  {reason}" for reason in self._refusals(anatomy))
        raise NotApplicable(
            f"No place for dropout found: {wanted}.\n"
            f"  activations present: {activations_present(anatomy)}{reasons}"
        )

    def _spec(self, kind: str) -> ModuleSpec:
        return ModuleSpec(kind, {"p": self.rate})

    def _wanted(self, anatomy: Anatomy, nodes: Sequence[Node], now: str = "") -> str:
        """Return the kind of dropout for a place; "" for none."""
        maps = _kind(anatomy, nodes)
        if self.kind == "spatial":
            return maps if maps in _SPATIAL else ""
        if self.kind == "plain":
            return "Dropout" if not now or now in _SPATIAL else now
        return now or maps

    def _there(self, anatomy: Anatomy) -> Iterator[Edit]:
        """Yield what gives its rate to dropout that is there."""
        found = anatomy.of_role(Role.DROPOUT)
        for node in found:
            if node.functional or node.call:
                continue
            kind = self._wanted(anatomy, calls(anatomy, node.path), node.kind)
            if kind == node.kind:
                yield Configure(node.path, "p", self.rate)
            elif kind:
                yield Replace(node.path, self._spec(kind))
        # Of the calls of one function the last is replaced first: the others keep their number.
        for node in reversed([node for node in found if node.kind in _FUNCTIONS]):
            nodes = site(anatomy, node)
            kind = self._wanted(anatomy, nodes, _FUNCTIONS[node.kind])
            attending = any(p.role == Role.ATTENTION for p in anatomy.producers(node))
            if node is nodes[0] and kind and not attending:
                yield _call(node, self._spec(kind))

    def _missing(self, anatomy: Anatomy) -> Iterator[Edit]:
        """Yield what drops after the hidden activations that no dropout follows."""
        for node in hidden_activations(anatomy):
            kind = self._after(anatomy, calls(anatomy, node.path))
            if kind:
                yield InsertAfter(_behind_batch_norm(anatomy, node).path, NAME, self._spec(kind))
        for node in hidden_functions(anatomy):
            kind = self._after(anatomy, site(anatomy, node))
            feeding = _feeding(anatomy, node)
            if kind and feeding is not None:
                yield InsertAfter(feeding.path, NAME, self._spec(kind))
            elif kind:
                yield _call(node, self._spec(kind), follow=True)

    def _after(self, anatomy: Anatomy, uses: Sequence[Node]) -> str:
        """Return the kind of dropout that shall follow an activation; "" for none."""
        if any(_is_dropped(anatomy, use) or is_recurrent(anatomy, use) for use in uses):
            return ""
        return self._wanted(anatomy, uses)

    def _recurrent(self, anatomy: Anatomy) -> Iterator[Edit]:
        """Yield what drops in recurrent layers, or between them."""
        for layer in anatomy.of_role(Role.RECURRENT):
            several = layer.settings.get("num_layers", 1) > 1
            if layer.call or self.kind == "spatial":
                continue
            if several and self.kind != "variational":
                yield Configure(layer.path, "dropout", self.rate)
            elif self.kind != "plain" and not is_cell(layer):
                spec = opened(layer, variational=self.rate, dropout=0.0)
                if isinstance(spec, ModuleSpec):
                    yield Replace(layer.path, spec, keep=True)

    def _refusals(self, anatomy: Anatomy) -> Iterator[str]:
        """Say of each activation of a loop, and of each recurrent layer, why it takes none."""
        for node in (*hidden_activations(anatomy), *hidden_functions(anatomy)):
            if self.kind != "variational" and is_recurrent(anatomy, node):
                yield f"{node.kind} ({node.path or 'the network'}) works on the state of a loop"
        for layer in anatomy.of_role(Role.RECURRENT):
            if layer.call or self.kind not in ("auto", "variational"):
                continue
            reason: ModuleSpec | str = "is called once a step, and knows no sequence"
            if not is_cell(layer):
                reason = opened(layer)
            if isinstance(reason, str):
                yield f"{layer.path or layer.kind} {reason}"


def _call(node: Node, spec: ModuleSpec, *, follow: bool = False) -> ReplaceCall:
    """Return the edit of a call that is left out where the forward cannot be traced."""
    return ReplaceCall(
        *(node.path, node.kind, node.order, spec, NAME),
        follow=follow,
        source=node.source,
        optional=True,
    )


def _feeding(anatomy: Anatomy, node: Node) -> Node | None:
    """Return the module before a function, if dropout after the one is as after the other."""
    feeding = anatomy.producers(node)
    if node.slug not in _SCALING or len(feeding) != 1 or len(site(anatomy, node)) != 1:
        return None
    (before,) = feeding
    alone = len(anatomy.consumers(before)) == 1 and len(calls(anatomy, before.path)) == 1
    takes = before.role in (Role.LAYER, Role.NORMALIZATION) and not before.functional
    return before if alone and takes else None


def _behind_batch_norm(anatomy: Anatomy, node: Node) -> Node:
    """Return the batch norm right behind an activation, or the activation itself.

    Dropout before a batch norm would make its moving averages wrong (Li et al., 2019).
    """
    behind = anatomy.consumers(node)
    alone = len(calls(anatomy, node.path)) == len(behind) == 1
    if not alone or behind[0].functional or not behind[0].slug.startswith("batchnorm"):
        return node
    return behind[0] if len(calls(anatomy, behind[0].path)) == 1 else node


def _is_dropped(anatomy: Anatomy, node: Node) -> bool:
    """Whether dropout follows already, as far as only shapes stand between."""
    return any(
        c.role == Role.DROPOUT or (c.role == Role.SHAPE and _is_dropped(anatomy, c))
        for c in anatomy.consumers(node)
    )


def _kind(anatomy: Anatomy, nodes: Sequence[Node]) -> str:
    """Spatial dropout if every use is the feature map of convolutions of one dimension."""
    kinds = set()
    for node in nodes:
        sources = layers_before(anatomy, node)
        maps = bool(sources) and all(is_convolution(source) for source in sources)
        space = len(node.shape) - 2
        kinds.add(f"Dropout{space}d" if maps and space in (1, 2, 3) else "Dropout")
    return kinds.pop() if len(kinds) == 1 else "Dropout"
