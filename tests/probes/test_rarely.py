import torch
from torch import nn

from fitwell.probes import Inputs, Rarely
from fitwell.testing import ProbeContract


class TestRarely(ProbeContract):
    def make(self, model, optimizer):
        return Rarely(Inputs(model))


def test_a_probe_is_entered_in_the_first_steps_and_then_every_eighth():
    model = nn.Linear(2, 1)
    probe, read = Rarely(Inputs(model)), []
    for step in range(60):
        with probe:
            model(torch.ones(3, 2))
            if tuple(probe.readings()):
                read.append(step)
        assert not model._forward_pre_hooks
    assert read == [0, 1, 2, 3, 5, 8, 13, 20, 24, 32, 40, 48, 56]


def test_what_was_found_out_is_told_where_it_was_read():
    model = nn.Linear(2, 1)
    probe = Rarely(Inputs(model))
    with probe:
        model(torch.ones(3, 2))
        assert probe.facts()["batch_size"] == 3
