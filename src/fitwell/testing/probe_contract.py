"""What every probe must keep: it measures, and changes nothing."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from fitwell.interfaces import Probe, Reading


class ProbeContract(ABC):
    """Subclass it in a test module, and say how to make the probe.

    ::

        class TestGradients(ProbeContract):
            def make(self, model, optimizer):
                return Gradients(layout_of(model)[0], optimizer)
    """

    @abstractmethod
    def make(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Probe:
        """Return the probe for one step of a network."""

    def network(self) -> nn.Module:
        """Return the network to probe; batch norm, dropout and an in-place ReLU by default."""
        return nn.Sequential(
            nn.Linear(6, 8),
            nn.BatchNorm1d(8),
            nn.ReLU(inplace=True),
            nn.Dropout(0.25),
            nn.Linear(8, 3),
        )

    def _step(self, *, probed: bool) -> tuple[dict[str, Tensor], Tensor, tuple[Reading, ...]]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            model = self.network()
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
            inputs = torch.randn(12, 6)
            readings: tuple[Reading, ...] = ()
            if probed:
                probe = self.make(model, optimizer)
                with probe:
                    model(inputs).square().mean().backward()
                    probe.before_update()
                    optimizer.step()
                    probe.after_update()
                    readings = tuple(probe.readings())
            else:
                model(inputs).square().mean().backward()
                optimizer.step()
            state = {name: value.clone() for name, value in model.state_dict().items()}
            state |= {
                f"{n}.grad": p.grad for n, p in model.named_parameters() if p.grad is not None
            }
            return state, torch.rand(4), readings

    def test_it_reads_numbers_without_dimensions(self) -> None:
        _, _, readings = self._step(probed=True)
        assert readings
        assert all(r.value.dim() == 0 and not r.value.requires_grad for r in readings)

    def test_a_probed_step_is_the_same_bit_for_bit(self) -> None:
        plain, random, _ = self._step(probed=False)
        probed, random_probed, _ = self._step(probed=True)
        assert plain.keys() == probed.keys()
        assert all(torch.equal(plain[name], probed[name]) for name in plain)
        assert torch.equal(random, random_probed)

    def test_no_hook_outlives_it_even_after_an_exception(self) -> None:
        model = self.network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        before = _hooks(model)
        try:
            with self.make(model, optimizer):
                model(torch.randn(12, 99))
        except RuntimeError:
            pass
        assert _hooks(model) == before

    def test_a_copy_made_meanwhile_works_and_is_not_read(self) -> None:
        model = self.network()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        probe = self.make(model, optimizer)
        with probe:
            copied = copy.deepcopy(model)
            copied(torch.randn(12, 6)).sum().backward()
            assert not tuple(probe.readings())


def _hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
