"""Recurrent layers with the weights of torch's, open to normalisation and dropout at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

GATES: Mapping[str, int] = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
"""Modes of a recurrent layer, as torch names them, and the blocks that their weights hold."""


def gains_of(mode: str, hidden: int) -> dict[str, int]:
    """Return the sizes of what normalisation adds to one layer: gains, and offsets of the cell."""
    if mode.startswith("RNN"):
        return {"gain": hidden}
    gains = {"gain_ih": GATES[mode] * hidden, "gain_hh": GATES[mode] * hidden}
    return gains | ({"gain_cell": hidden, "offset_cell": hidden} if mode == "LSTM" else {})


def add_gains(layer: nn.Module, mode: str, hidden: int, suffix: str) -> None:
    """Give a layer the gains and offsets of :func:`gains_of`: gains 1, offsets 0."""
    for name, size in gains_of(mode, hidden).items():
        start = torch.zeros(size) if name.startswith("offset") else torch.ones(size)
        layer.register_parameter(name + suffix, nn.Parameter(start))


def reset_gains(layer: nn.Module) -> None:
    """Set all gains of a layer to 1 and all offsets to 0."""
    for name, parameter in layer.named_parameters(recurse=False):
        if name.startswith(("gain", "offset")):
            nn.init.constant_(parameter, float(name.startswith("gain")))


class Equations:
    """What one recurrent layer does at a step, in one direction.

    Args:
        layer: The module that holds its parameters.
        mode: One of :data:`GATES`.
        suffix: What its parameters have behind their names, as ``"_l0_reverse"``.
        eps: Added to the variance in normalisation; None for no normalisation.
    """

    def __init__(self, layer: nn.Module, mode: str, suffix: str, eps: float | None) -> None:
        def find(name: str) -> Tensor | None:
            return getattr(layer, name + suffix, None)

        self.mode, self.eps = mode, eps
        self.w_ih: Tensor = getattr(layer, "weight_ih" + suffix)
        self.w_hh: Tensor = getattr(layer, "weight_hh" + suffix).t()
        self.b_ih, self.b_hh = find("bias_ih"), find("bias_hh")
        self.gain_ih, self.gain_hh, self.gain = find("gain_ih"), find("gain_hh"), find("gain")
        self.gain_cell, self.offset_cell = find("gain_cell"), find("offset_cell")
        self.hidden = self.w_hh.shape[0]
        gated = GATES[mode] * self.hidden
        # The candidate of a GRU is normalised by itself, since its part of the state is gated.
        self.parts = [2 * self.hidden, self.hidden] if mode == "GRU" else [gated]
        steps = {"LSTM": self._lstm, "GRU": self._gru}
        self.step: Callable[[Tensor, Sequence[Tensor], Tensor], tuple[Tensor, ...]]
        self.step = steps.get(mode, self._rnn)

    def project(self, x: Tensor) -> Tensor:
        """Return what the input adds to the pre-activations, for any number of steps at once."""
        if self.eps is not None:
            projected = F.linear(x, self.w_ih)
            return projected if self.gain is not None else self._normed(projected, "ih")
        bias = self.b_ih
        if bias is not None and self.b_hh is not None and self.mode != "GRU":
            bias = bias + self.b_hh
        return F.linear(x, self.w_ih, bias)

    def _normed(self, value: Tensor, name: str) -> Tensor:
        """Return pre-activations normalised, times their gain, plus their bias."""
        gain = self.gain_ih if name == "ih" else self.gain_hh
        bias = self.b_ih if name == "ih" else self.b_hh
        assert gain is not None
        assert self.eps is not None
        if len(self.parts) == 1:
            return F.layer_norm(value, self.parts, gain, bias, self.eps)
        gains = torch.split(gain, self.parts)
        biases = torch.split(bias, self.parts) if bias is not None else (None, None)
        values = torch.split(value, self.parts, -1)
        return torch.cat(
            [
                F.layer_norm(v, (n,), g, b, self.eps)
                for v, n, g, b in zip(values, self.parts, gains, biases, strict=True)
            ],
            -1,
        )

    def _rnn(self, given: Tensor, state: Sequence[Tensor], seen: Tensor) -> tuple[Tensor, ...]:
        total = torch.addmm(given, seen, self.w_hh)
        if self.eps is not None:
            total = F.layer_norm(total, self.parts, self.gain, self.b_ih, self.eps)
            total = total if self.b_hh is None else total + self.b_hh
        return (torch.tanh(total) if self.mode == "RNN_TANH" else torch.relu(total),)

    def _lstm(self, given: Tensor, state: Sequence[Tensor], seen: Tensor) -> tuple[Tensor, ...]:
        if self.eps is None:
            total = torch.addmm(given, seen, self.w_hh)
        else:
            total = given + self._normed(seen @ self.w_hh, "hh")
        enter, keep, new, leave = total.chunk(4, -1)
        cell = torch.sigmoid(keep) * state[1] + torch.sigmoid(enter) * torch.tanh(new)
        shown = cell
        if self.eps is not None:
            shown = F.layer_norm(cell, (self.hidden,), self.gain_cell, self.offset_cell, self.eps)
        return torch.sigmoid(leave) * torch.tanh(shown), cell

    def _gru(self, given: Tensor, state: Sequence[Tensor], seen: Tensor) -> tuple[Tensor, ...]:
        if self.eps is None:
            held = F.linear(seen, self.w_hh.t(), self.b_hh)
        else:
            held = self._normed(seen @ self.w_hh, "hh")
        gates, given_new = torch.split(given, self.parts, -1)
        held_gates, held_new = torch.split(held, self.parts, -1)
        reset, stay = torch.sigmoid(gates + held_gates).chunk(2, -1)
        new = torch.tanh(given_new + reset * held_new)
        return (new + stay * (state[0] - new),)


class Recurrent(nn.RNNBase):
    """A recurrent layer with the parameters, arguments and results of ``nn.RNN/LSTM/GRU``.

    Without normalisation it equals torch's layer; without variational dropout as well, or in
    evaluation, it is computed by torch's own kernel. Else it goes step by step.

    With layer normalisation LN (Ba et al. 2016, equations 4 and 20 to 29; a gain for each unit, 1
    at the start; the layer's own biases are the offsets):

    - LSTM: the gates are LN(W x) + LN(U h) + b, the four taken together; h = o · tanh(LN(c)),
      where that of the cell state has an offset of its own, 0 at the start.
    - GRU: the same for reset and update gate, the two taken together; the candidate is
      tanh(LN(W x) + b + r · (LN(U h) + b')).
    - RNN: h = f(LN(W x + U h) + b).

    Variational dropout (Gal & Ghahramani 2016, arXiv:1512.05287) drops, in training, units of the
    input of every layer and of the state that enters the gates: the same ones at every step of a
    sequence.

    Args:
        mode: ``"LSTM"``, ``"GRU"``, ``"RNN_TANH"`` or ``"RNN_RELU"``.
        input_size: Features of a step.
        hidden_size: Units.
        num_layers: Layers on top of each other.
        bias: Whether there are biases.
        batch_first: Whether inputs and outputs are (batch, steps, features), not (steps, batch, …).
        dropout: Rate of plain dropout between the layers.
        bidirectional: Whether a second set of units reads each sequence from its end.
        norm: Whether there is layer normalisation.
        variational: Rate of variational dropout, in [0, 1).
        eps: Added to the variance in normalisation.
    """

    __constants__ = [*nn.RNNBase.__constants__, "norm", "variational", "eps"]  # noqa: RUF012

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        norm: bool = False,
        variational: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional
        )
        self.norm, self.variational, self.eps = norm, variational, eps
        if mode.startswith("RNN"):
            self.nonlinearity = mode.removeprefix("RNN_").lower()
        directions = ("", "_reverse") if bidirectional else ("",)
        self.suffixes = [f"_l{i}{end}" for i in range(num_layers) for end in directions]
        for suffix in self.suffixes if norm else ():
            add_gains(self, mode, hidden_size, suffix)

    def reset_parameters(self) -> None:
        """Draw the weights anew; gains become 1 and offsets 0."""
        super().reset_parameters()
        reset_gains(self)

    def extra_repr(self) -> str:
        """Show the arguments."""
        text = f"{self.mode}, {super().extra_repr()}"
        text += f", norm=True, eps={self.eps}" if self.norm else ""
        return text + (f", variational={self.variational}" if self.variational else "")

    def forward(
        self,
        input: Tensor | PackedSequence,  # noqa: A002
        hx: Tensor | tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor | tuple[Tensor, Tensor]]:
        """Return the outputs of the last layer at every step, and the last state of every layer."""
        state = () if hx is None else (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if isinstance(input, PackedSequence):
            data, sizes, order, back = input
            state = tuple(s if order is None else s.index_select(1, order) for s in state)
            output, last = self._run(data, sizes, state)
            last = tuple(s if back is None else s.index_select(1, back) for s in last)
            return PackedSequence(output, sizes, order, back), _opened(last)
        if input.dim() == 2:
            output, last = self._run(input[:, None], None, tuple(s[:, None] for s in state))
            return output[:, 0], _opened(tuple(s[:, 0] for s in last))
        if self.batch_first:
            output, last = self._run(input.transpose(0, 1), None, state)
            return output.transpose(0, 1), _opened(last)
        output, last = self._run(input, None, state)
        return output, _opened(last)

    def _run(
        self, x: Tensor, sizes: Tensor | None, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return all outputs and the last states of (steps, batch, features) or packed steps."""
        self.check_input(x, sizes)
        rows = x.shape[1] if sizes is None else int(sizes[0])
        shape = (len(self.suffixes), rows, self.hidden_size)
        if not state:
            state = (x.new_zeros(shape),) * (2 if self.mode == "LSTM" else 1)
        for tensor in state:
            self.check_hidden_size(tensor, shape)
        if not self.norm and not (self.training and self.variational):
            return self._kernel(x, sizes, state)
        if sizes is not None:
            return self._stepwise(x, sizes.tolist(), state)
        output, last = self._stepwise(x.reshape(-1, x.shape[2]), [rows] * len(x), state)
        return output.view(len(x), rows, -1), last

    def _kernel(
        self, x: Tensor, sizes: Tensor | None, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Let torch do it."""
        weights = [getattr(self, name) for name in self._flat_weights_names]
        if x.is_cuda and len({w.untyped_storage().data_ptr() for w in weights}) > 1:
            self.flatten_parameters()
        hx = state if self.mode == "LSTM" else state[0]
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        function = getattr(torch, self.mode.lower())
        if sizes is None:
            output, *last = function(x, hx, weights, *options, False)
        else:
            output, *last = function(x, sizes, hx, weights, *options)
        return output, tuple(last)

    def _stepwise(
        self, data: Tensor, sizes: list[int], state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Go through steps that lie one after the other, each with so many sequences."""
        rate = self.variational if self.training else 0.0
        lasts: list[tuple[Tensor, ...]] = []
        directions = 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            if layer and self.dropout:
                data = F.dropout(data, self.dropout, self.training)
            if rate:
                data = data * _spread(
                    F.dropout(data.new_ones(sizes[0], data.shape[1]), rate), sizes
                )
            outputs = []
            for number in range(layer * directions, (layer + 1) * directions):
                suffix = self.suffixes[number]
                equations = Equations(self, self.mode, suffix, self.eps if self.norm else None)
                first = tuple(s[number] for s in state)
                mask = F.dropout(torch.ones_like(first[0]), rate) if rate else None
                given = torch.split(equations.project(data), sizes)
                output, last = _steps(equations, given, first, mask, suffix.endswith("_reverse"))
                outputs.append(output)
                lasts.append(last)
            data = torch.cat(outputs, -1) if directions > 1 else outputs[0]
        return data, tuple(torch.stack(tensors) for tensors in zip(*lasts, strict=True))


def _opened(state: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, Tensor]:
    """Return a state as torch's layers do: a tensor, or the two of an LSTM."""
    return (state[0], state[1]) if len(state) > 1 else state[0]


def _spread(mask: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return the mask of each sequence at every step that the sequence has."""
    return torch.cat([mask[:size] for size in sizes])


def _steps(
    equations: Equations,
    given: Sequence[Tensor],
    state: tuple[Tensor, ...],
    mask: Tensor | None,
    backwards: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Take all steps; the longest sequences stand first, the others rest where they have ended."""
    rows = len(state[0])
    outputs = []
    for part in reversed(given) if backwards else given:
        size = len(part)
        now = state if size == rows else tuple(s[:size] for s in state)
        seen = now[0] if mask is None else now[0] * mask[:size]
        new = equations.step(part, now, seen)
        outputs.append(new[0])
        rest = zip(new, state, strict=True)
        state = new if size == rows else tuple(torch.cat((n, s[size:])) for n, s in rest)
    return torch.cat(outputs[::-1] if backwards else outputs), state


class RecurrentCell(nn.RNNCellBase):
    """One step of :class:`Recurrent`, with the parameters and results of ``nn.RNN/LSTM/GRUCell``.

    Args:
        mode: ``"LSTM"``, ``"GRU"``, ``"RNN_TANH"`` or ``"RNN_RELU"``.
        input_size: Features of a step.
        hidden_size: Units.
        bias: Whether there are biases.
        norm: Whether there is layer normalisation, as in :class:`Recurrent`.
        eps: Added to the variance in normalisation.
    """

    __constants__ = [*nn.RNNCellBase.__constants__, "mode", "norm", "eps"]  # noqa: RUF012

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        norm: bool = False,
        eps: float = 1e-5,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, GATES[mode])
        self.mode, self.norm, self.eps = mode, norm, eps
        if mode.startswith("RNN"):
            self.nonlinearity = mode.removeprefix("RNN_").lower()
        if norm:
            add_gains(self, mode, hidden_size, "")

    def reset_parameters(self) -> None:
        """Draw the weights anew; gains become 1 and offsets 0."""
        super().reset_parameters()
        reset_gains(self)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"{self.mode}, {super().extra_repr()}" + (", norm=True" if self.norm else "")

    def forward(
        self,
        input: Tensor,  # noqa: A002
        hx: Tensor | tuple[Tensor, Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return the state after a step: a tensor, or the two of an LSTM."""
        x = input if input.dim() == 2 else input[None]
        if hx is None:
            state = (x.new_zeros(len(x), self.hidden_size),) * (2 if self.mode == "LSTM" else 1)
        else:
            given = (hx,) if isinstance(hx, Tensor) else tuple(hx)
            state = given if input.dim() == 2 else tuple(s[None] for s in given)
        equations = Equations(self, self.mode, "", self.eps if self.norm else None)
        new = equations.step(equations.project(x), state, state[0])
        return _opened(new if input.dim() == 2 else tuple(s[0] for s in new))
