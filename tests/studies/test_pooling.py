import pytest
import torch
from torch import nn

from fitwell.studies import training
from fitwell.studies.job import Job
from fitwell.studies.pooling import pooling_first
from fitwell.tasks import Task


def network(**options):
    torch.manual_seed(1)
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, **options)),
        nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16, 3)),
    )


def kinds(sequence):
    return [type(module).__name__ for module in sequence]


def images(rows=60):
    generator = torch.Generator().manual_seed(0)
    # Whole numbers and an empty half: many ties inside the windows.
    x = torch.randint(-2, 3, (rows, 1, 8, 8), generator=generator).float()
    x[:, :, :, :4] = 0
    return x


def passed(model, x):
    outputs = model(x)
    outputs.square().sum().backward()
    return outputs, [p.grad for p in model.parameters()]


def test_it_pools_first_inside_and_is_as_before_afterwards():
    model = network()
    names = list(model.state_dict())
    with pooling_first(model):
        assert kinds(model)[:3] == ["Conv2d", "MaxPool2d", "ReLU"]
        assert kinds(model[3]) == ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU"]
        assert list(model.state_dict()) == names
    assert kinds(model)[:3] == ["Conv2d", "ReLU", "MaxPool2d"]
    assert kinds(model[3]) == ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"]


def test_outputs_and_gradients_are_the_same_bit_for_bit_with_ties_too():
    usual, gradients = passed(network(), images())
    model = network()
    with pooling_first(model):
        outputs, theirs = passed(model, images())
    assert torch.equal(outputs, usual)
    for one, other in zip(theirs, gradients, strict=True):
        assert torch.equal(one, other)


def test_numbers_that_are_not_finite_come_through_alike():
    x = images(4)
    x[0, 0, 5, 5], x[1, 0, 6, 6] = float("nan"), float("inf")
    model = network().eval()
    usual = model(x)
    with pooling_first(model):
        assert torch.equal(model(x).isnan(), usual.isnan())


def test_it_is_as_before_after_an_error():
    model = network()
    with pytest.raises(ZeroDivisionError), pooling_first(model):
        raise ZeroDivisionError
    assert kinds(model)[:3] == ["Conv2d", "ReLU", "MaxPool2d"]


def test_layers_that_somebody_waits_on_stay_where_they_are():
    model = network()
    model[1].register_forward_hook(lambda *_: None)
    with pooling_first(model):
        assert kinds(model)[:3] == ["Conv2d", "ReLU", "MaxPool2d"]
        assert kinds(model[3]) == ["Conv2d", "BatchNorm2d", "MaxPool2d", "ReLU"]


@pytest.mark.parametrize(
    "layers",
    [
        (nn.MaxPool2d(2), nn.ReLU()),
        (nn.GELU(), nn.MaxPool2d(2)),
        (nn.ReLU(), nn.AvgPool2d(2)),
        (nn.ReLU(), nn.MaxPool2d(2, return_indices=True)),
    ],
)
def test_other_pairs_stay_as_they_are(layers):
    model = nn.Sequential(*layers)
    with pooling_first(model):
        assert list(model) == list(layers)


def test_a_run_pools_first_unless_it_is_observed(monkeypatch):
    seen = []

    def noting(model):
        seen.append(model)
        return pooling_first(model)

    monkeypatch.setattr(training, "pooling_first", noting)
    y = torch.arange(60) % 3
    task = Task("images", network, (images(), y), "cross_entropy", "accuracy", epochs=1)
    fitted = training.fit(task, Job((), 0))
    assert len(seen) == 1
    assert kinds(fitted.model)[:3] == ["Conv2d", "ReLU", "MaxPool2d"]
