"""Networks of timm, where it and torchvision are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from torch import nn

from .network import Network
from .vision import images

_NAMES = (
    *("resnet10t", "mobilenetv3_small_050", "efficientnet_lite0", "convnext_atto"),
    *("vit_tiny_patch16_224", "mixer_s32_224", "ghostnet_050"),
)


def _built(name: str) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        timm = importlib.import_module("timm")
        sized = {"img_size": 32} if "224" in name else {}
        made: nn.Module = timm.create_model(name, pretrained=False, num_classes=5, **sized)
        return made

    return build


OPTIONAL = tuple(
    Network(f"timm {name}", "timm", _built(name), images, classes="self", optional=True)
    for name in _NAMES
    if importlib.util.find_spec("timm") and importlib.util.find_spec("torchvision")
)
"""None where one of the two is missing."""
