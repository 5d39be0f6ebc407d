"""One network that a script trains, under watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from fitwell.anatomy import tensors_in
from fitwell.probes import Hook
from fitwell.probes.pairs import pair_facts
from fitwell.records import Recorded
from fitwell.script.functional import LOSS_FUNCTIONS, LossCall
from fitwell.watch import ToldLoss, Watch


@final
class Session:
    """A watch on a network whose loss function nobody has named.

    Args:
        root: The network.
        optimizer: What trains it.
        name: What the script calls it.
        others: Further optimizers, made before the network was known, that train it too.
        overhead: Share of the run's time that watching may take.
        ran: Called with the session after every forward pass.

    Attributes:
        number: Place among the sessions, from 0.
        steps: Optimizer steps so far.
        last_step: Number of the last one among those of all networks.
        mode: Whether the network ran in training mode last.
        with_gradients: Whether it ran with gradients enabled last.
        output: What it put out last, without its graph; None before.
        function: Function of torch that its training loss comes from, or "".
    """

    def __init__(
        self,
        root: nn.Module,
        optimizer: Optimizer,
        name: str,
        *,
        others: tuple[Optimizer, ...] = (),
        overhead: float,
        ran: Callable[[Session], None],
    ) -> None:
        self.root, self.optimizer, self.name = root, optimizer, name
        self.number = self.last_step = 0
        self._tell_ran = ran
        self.loss = ToldLoss()
        self.watch = Watch(
            root, (optimizer, *others), self.loss, overhead=overhead, every=None, dense=True
        )
        self.steps = 0
        self.mode = self.with_gradients = True
        self.output: Tensor | None = None
        self.function = ""
        self._handles: list[RemovableHandle] = []
        places: tuple[dict[int, Any], ...] = (
            root._forward_pre_hooks,
            optimizer._optimizer_step_pre_hooks,
            optimizer._optimizer_step_post_hooks,
        )
        known = [set(place) for place in places]
        self.watch.__enter__()
        self._entering, self._before, self._after = (
            {key: hook for key, hook in place.items() if key not in keys}
            for place, keys in zip(places, known, strict=True)
        )
        hook = Hook(self._ran)
        self._handles.append(root.register_forward_hook(hook))

    def entered(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take part in the forward pass that is about to begin, as if attached before it.

        A module collects its hooks before it calls the first of them: those that the watch has
        just registered would hear of the next pass only.
        """
        for key, hook in self._entering.items():
            if key in self.root._forward_pre_hooks_with_kwargs:
                hook(self.root, args, kwargs)
            else:
                hook(self.root, args)

    def _ran(self, module: nn.Module, args: object, output: object) -> None:
        if torch.compiler.is_compiling():
            return
        self.mode, self.with_gradients = module.training, torch.is_grad_enabled()
        values = next((t for t in tensors_in(output) if t.is_floating_point()), None)
        self.output = values.detach() if values is not None else None
        self._tell_ran(self)

    def trained_on(self, calls: list[LossCall]) -> None:
        """Note the losses of a step, each of them a term or a part of the batch."""
        first = calls[0]
        if not self.function:
            self.describe_loss(first.function, first.outputs)
        rows = sum(call.rows for call in calls)
        value = torch.stack([call.value * (call.rows / rows) for call in calls]).sum()
        self.loss.ignore_index = first.ignored
        self.loss.tell(value, first.outputs, first.targets, training=True)

    def went_down_on(self, values: list[Tensor]) -> None:
        """Note the loss of a step that no known function computed."""
        if self.output is None or not self.output.dim():
            self.watch.log(train_loss=torch.stack(values).mean())
        else:
            self.loss.tell(torch.stack(values).mean(), self.output, training=True)

    def evaluated(self, call: LossCall) -> None:
        """Note a loss of an evaluation; one of another kind than training's is a metric."""
        if not self.function or self.function == call.function:
            self.loss.tell(call.value, call.outputs, call.targets, training=False)

    def describe_loss(self, function: str, outputs: Tensor) -> None:
        """Say which loss it is, by the name of torch's function and what it is given."""
        self.function = function
        name, expects = LOSS_FUNCTIONS[function]
        classes = outputs.shape[1] if name == "cross_entropy" and outputs.dim() > 1 else 0
        self.watch.describe(loss=name, loss_expects=expects, classes=classes)

    def stepped_with(self, optimizer: Optimizer, before: bool, args: Any, kwargs: Any) -> None:
        """Count a step of an optimizer that came after the one the watch was made with."""
        for hook in (self._before if before else self._after).values():
            hook(optimizer, args, kwargs)

    def refused(self, function: str, outputs: Tensor, targets: Tensor) -> None:
        """Note what a loss was given and did not take."""
        self.describe_loss(function, outputs)
        self.watch.describe(**pair_facts(outputs, targets))

    def close(self) -> Recorded:
        """Take everything off and return what was recorded."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.watch.__exit__(None, None, None)
        return Recorded(
            name=self.name,
            kind=type(self.root).__name__,
            parameters=sum(p.numel() for p in self.root.parameters() if _has_size(p)),
            optimizer=type(self.optimizer).__name__,
            steps=self.steps,
            trace=self.watch.trace,
            cost=self.watch.cost,
        )


def _has_size(parameter: nn.Parameter) -> bool:
    """Whether a parameter has its size already: a lazy one that never ran has none."""
    return not isinstance(parameter, nn.parameter.UninitializedParameter)
