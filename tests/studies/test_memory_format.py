import pytest
import torch
from torch import nn

from fitwell.studies import training
from fitwell.studies.job import Job
from fitwell.studies.memory_format import laid_out, memory_format_of
from fitwell.tasks import Data, Split, Task

CHANNELS_LAST, USUAL = torch.channels_last, torch.contiguous_format


class Viewing(nn.Module):
    """Reads the memory order of what its convolution gives."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 3, 3), nn.Linear(108, 2)

    def forward(self, x):
        h = self.conv(x)
        return self.head(h.view(len(x), -1))


class Reordering(nn.Module):
    """Gives other numbers for another memory order, without an error."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)

    def forward(self, x):
        h = self.conv(x)
        return h.as_strided((len(x), 108), (108, 1))


def convolutions():
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 3)),
    )


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.randn(60, 1, 8, 8)


def test_a_network_of_convolutions_trains_with_channels_last(images):
    assert memory_format_of(convolutions(), images) is CHANNELS_LAST


@pytest.mark.parametrize("network", [Viewing, Reordering])
def test_a_network_that_reads_the_memory_order_is_left_as_it_is(images, network):
    assert memory_format_of(network(), images) is USUAL


def test_a_network_without_convolutions_is_left_as_it_is(images):
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    assert memory_format_of(network, images) is USUAL


def test_rows_that_are_no_images_are_left_as_they_are():
    assert memory_format_of(nn.Conv1d(2, 3, 3), torch.randn(5, 2, 9)) is USUAL


def test_finding_out_changes_neither_the_network_nor_the_random_state(images):
    network = convolutions().train()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    before = torch.random.get_rng_state()
    memory_format_of(network, images)
    assert network.training
    assert all(torch.equal(value, state[n]) for n, value in network.state_dict().items())
    assert all(p.is_contiguous() for p in network.parameters())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_rows_keep_their_values_in_another_order(images):
    split = Split(images, torch.arange(60))
    turned = laid_out(split, CHANNELS_LAST)
    assert torch.equal(turned.x, images)
    assert turned.x.stride() == (64, 1, 8, 1)
    assert laid_out(split, USUAL) is split


def test_a_run_gives_the_same_in_either_order_and_hands_back_plain_weights(images, monkeypatch):
    part = Split(images.double(), torch.arange(60) % 3)
    data = Data(part, part, part, "image", ("a", "b", "c"))
    task = Task("images", lambda: convolutions().double(), data, "cross_entropy", "accuracy")
    turned = training.fit(task, Job((), 0, epochs=4))
    assert all(p.is_contiguous() for p in turned.model.parameters())
    monkeypatch.setattr(training, "memory_format_of", lambda model, x: USUAL)
    usual = training.fit(task, Job((), 0, epochs=4))
    assert turned.run.curves.train_loss == pytest.approx(usual.run.curves.train_loss, rel=1e-9)
    for name, weight in usual.model.state_dict().items():
        torch.testing.assert_close(turned.model.state_dict()[name], weight, rtol=1e-7, atol=1e-9)


def test_a_run_trains_rows_and_weights_in_the_format_that_was_chosen(images, monkeypatch):
    seen = []

    def note(module, inputs, output):
        if module.training:
            seen.append((inputs[0].stride()[1], module.weight.stride()[1]))

    def watched(model, x):
        found = memory_format_of(model, x)
        model[0].register_forward_hook(note)
        return found

    monkeypatch.setattr(training, "memory_format_of", watched)
    task = Task("images", convolutions, (images, torch.arange(60) % 3), "cross_entropy", "accuracy")
    training.fit(task, Job((), 0, epochs=1))
    assert set(seen) == {(1, 1)}
