"""Plain torch: convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .network import BATCH, Network, random

CLASSES = 3


def images(channels: int = 3, side: int = 16) -> Tensor:
    return random(BATCH, channels, side, side)


class UNet(nn.Module):
    """Down, up, and across by concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = self._block(3, 8)
        self.down2 = self._block(8, 16)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.across = self._block(16, 8)
        self.head = nn.Conv2d(8, CLASSES, 1)

    @staticmethod
    def _block(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(
            *(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(True)),
            *(nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(True)),
        )

    def forward(self, x: Tensor) -> Tensor:
        first = self.down1(x)
        second = self.down2(F.max_pool2d(first, 2))
        return self.head(self.across(torch.cat([first, self.up(second)], dim=1)))


class Residual(nn.Module):
    """A block of a ResNet, with its activation called as a function."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.short = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.short(x))


class DenseLayer(nn.Module):
    """Adds its channels to those that it is given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, 8, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], dim=1)


class SqueezeExcite(nn.Module):
    """Weighs the channels by a gate over all of the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(channels, 4, 1), nn.Conv2d(4, channels, 1)
        self.act, self.gate = nn.ReLU(), nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.fc2(self.act(self.fc1(self.squeeze(x)))))


class LeNet(nn.Module):
    """Pooling and activations as functions, flattened by ``view``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2 = nn.Linear(256, 32), nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(torch.tanh(self.conv2(x)), 2)
        return self.fc2(torch.tanh(self.fc1(x.view(x.size(0), -1))))


def head(channels: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)


def _cnn() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
        nn.MaxPool2d(2),
        *(nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *head(16),
    )


def _bare_cnn() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3), nn.ReLU(inplace=True), nn.Dropout2d(0.1)),
        *(nn.Flatten(), nn.Linear(400, 32), nn.ReLU(inplace=True), nn.Linear(32, CLASSES)),
    )


def _grouped() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(4, 16), nn.SiLU()),
        *(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.InstanceNorm2d(16), nn.ReLU6()),
        *head(16),
    )


def _resnet() -> nn.Module:
    return nn.Sequential(Residual(3, 8, 1), Residual(8, 16, 2), *head(16))


def _dense() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), DenseLayer(8), DenseLayer(16), nn.AvgPool2d(2), *head(24)
    )


def _squeeze() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()),
        *(SqueezeExcite(16), nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16)),
        *(nn.Hardswish(), *head(16)),
    )


def _generator() -> nn.Module:
    return nn.Sequential(
        *(nn.ConvTranspose2d(8, 16, 4, 1, 0, bias=False), nn.BatchNorm2d(16), nn.ReLU(True)),
        *(nn.ConvTranspose2d(16, 8, 4, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU(True)),
        *(nn.ConvTranspose2d(8, 3, 4, 2, 1, bias=False), nn.Tanh()),
    )


def _discriminator() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)),
        *(nn.Conv2d(8, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16)),
        *(nn.LeakyReLU(0.2, inplace=True), nn.Conv2d(16, 1, 4, 1, 0, bias=False)),
        *(nn.Flatten(), nn.Sigmoid()),
    )


def _signals() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv1d(2, 8, 5, stride=2), nn.ELU(), nn.BatchNorm1d(8)),
        *(nn.Conv1d(8, 16, 5, stride=2, dilation=2), nn.Tanh(), nn.AdaptiveMaxPool1d(1)),
        *(nn.Flatten(), nn.Linear(16, CLASSES)),
    )


def _volumes() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv3d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2)),
        *(nn.Conv3d(8, 16, 3, padding=1), nn.BatchNorm3d(16), nn.ReLU()),
        *(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(16, CLASSES)),
    )


def _conv(name: str, build: object, example: object = images, classes: str = "self") -> Network:
    return Network(name, "plain torch: convolutions", build, example, classes=classes)


CONVOLUTIONS = (
    _conv("CNN, batch norm", _cnn),
    _conv("CNN, ReLU in place", _bare_cnn),
    _conv("CNN, depthwise, group norm", _grouped),
    _conv(
        "CNN, channels last, bfloat16",
        lambda: _cnn().to(memory_format=torch.channels_last).bfloat16(),
        lambda: images().bfloat16(),
    ),
    _conv("LeNet, functional", LeNet, lambda: images(1, 28)),
    _conv("Small ResNet, functional ReLU", _resnet),
    _conv("DenseNet", _dense),
    _conv("Squeeze-excite, hard swish", _squeeze),
    _conv("U-Net", UNet),
    _conv("DCGAN generator", _generator, lambda: random(BATCH, 8, 1, 1), ""),
    _conv("DCGAN discriminator", _discriminator, images, ""),
    _conv("1-d CNN", _signals, lambda: random(BATCH, 2, 64)),
    _conv("3-d CNN", _volumes, lambda: random(BATCH, 1, 8, 8, 8)),
)
