"""Find out what a network's layers are while it runs for the first time."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import final

import torch
from torch import Tensor, nn

from fitwell.anatomy import Recorder, looped, network_facts
from fitwell.probes import Layout, held_by, layout_of
from fitwell.records import Anatomy, Node
from fitwell.watch.run import Run, called_in


@final
class Layers:
    """Records the first forward pass of what the loop calls, and notes the layout in the run.

    Args:
        run: What is watched.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._names = {module: name for name, module in called_in(run.model)}
        if run.called is not None:
            self._names[run.called] = ""
        self._anatomies: dict[str, Anatomy] = {}
        self._recorder: Recorder | None = None

    def record(self, root: nn.Module, until: ExitStack) -> None:
        """Record the forward pass that begins, if it is the first of this network.

        Args:
            root: What is called.
            until: Ends with the pass.
        """
        if self._names[root] not in self._anatomies and self._recorder is None:
            self._recorder = Recorder(self._run.model if self._run.called is root else root)
            until.enter_context(self._recorder)

    def returned(self, output: object) -> None:
        """Tell what the network returned, before the pass has ended."""
        if self._recorder is not None:
            self._recorder.returned(output)

    def ended(self, root: nn.Module, output: object) -> bool:
        """Note the layers of a pass that has ended, and say whether they are news.

        Args:
            root: What was called.
            output: What it returned; None if it raised.
        """
        recorder, self._recorder = self._recorder, None
        if recorder is None or output is None:
            return False
        anatomy = recorder.anatomy()
        self._anatomies[self._names[root]] = anatomy
        recorded = self._run.model if self._run.called is root else root
        self._run.learned.update(network_facts(recorded, anatomy))
        self.settle()
        return True

    @property
    def heard(self) -> bool:
        """Whether a forward pass was recorded."""
        return bool(self._anatomies)

    def settle(self) -> None:
        """Note the layers as far as they are known; without any, in the order of registration."""
        run = self._run
        anatomy = _merged(self._anatomies) if self._anatomies else None
        run.looped = looped(anatomy) if anatomy is not None else frozenset()
        run.layout, run.layers = layout_of(run.model, anatomy, held_by(*run.optimizers))


def _merged(anatomies: dict[str, Anatomy]) -> Anatomy:
    """Return several networks as one, one after the other, under the names in their container."""
    if len(anatomies) == 1 and "" in anatomies:
        return anatomies[""]
    nodes: list[Node] = []
    for name, anatomy in anatomies.items():
        start = len(nodes)
        nodes += [
            replace(
                node,
                index=start + node.index,
                path=".".join(part for part in (name, node.path) if part),
                inputs=tuple(start + i if i >= 0 else i for i in node.inputs),
                parameters=tuple(f"{name}.{p}" if name else p for p in node.parameters),
            )
            for node in anatomy.nodes
        ]
    return Anatomy(tuple(nodes))


def part_of(layout: Layout, optimizer: torch.optim.Optimizer, *, rest: bool) -> Layout:
    """Return the layers and parameters that one of several optimizers trains.

    Args:
        layout: All layers.
        optimizer: What holds some of the parameters.
        rest: Whether to count to it what no optimizer was asked about: those with no gradient.
    """
    held = {id(p) for p in held_by(optimizer)}

    def mine(parameter: Tensor) -> bool:
        return id(parameter) in held or (rest and not parameter.requires_grad)

    layers = []
    for layer in layout.layers:
        weights = tuple(w for w in layer.weights if mine(w))
        if weights:
            layers.append(replace(layer, weights=weights))
    return Layout(tuple(layers), tuple(p for p in layout.parameters if mine(p)))
