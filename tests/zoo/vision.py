"""Networks that see, from small configurations of transformers."""
# ruff: noqa: PIE800, PIE804 -- long lists of settings are easier to read in lines of several

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import transformers
from torch import Tensor, nn

from .network import BATCH, Network, random, whole

_VIT: Mapping[str, Any] = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    **{"intermediate_size": 64, "image_size": 32, "patch_size": 8},
}
_SWIN: Mapping[str, Any] = {
    **{"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 1]},
    **{"num_heads": [2, 4], "window_size": 4},
}
_STAGES: Mapping[str, Any] = {"hidden_sizes": [16, 32], "depths": [1, 1]}
_FOUR_STAGES: Mapping[str, Any] = {
    **{"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]},
    **{"num_attention_heads": [1, 1, 2, 2], "mlp_ratios": [2, 2, 2, 2]},
}
_TEXT: Mapping[str, Any] = {
    **{"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4},
    **{"intermediate_size": 64, "vocab_size": 64, "max_position_embeddings": 16},
    **{"bos_token_id": 62, "eos_token_id": 63, "pad_token_id": 1},
}


def images(side: int = 32) -> Tensor:
    return random(BATCH, 3, side, side)


def large_images() -> Tensor:
    return images(64)


def images_and_words() -> dict[str, Tensor]:
    return {"input_ids": whole(60, BATCH, 7), "pixel_values": images()}


def built(config: str, model: str, **settings: Any) -> Callable[[], nn.Module]:
    """Return what makes a network of transformers from a configuration, without a download."""

    def build() -> nn.Module:
        made = getattr(transformers, f"{config}Config")(**settings)
        network: nn.Module = getattr(transformers, f"{config}{model}")(made)
        return network.train()

    return build


def _seeing(
    name: str,
    config: str,
    *,
    example: Callable[[], object] = images,
    kind: str = "convolutions",
    **settings: Any,
) -> Network:
    build = built(config, "ForImageClassification", num_labels=5, **settings)
    return Network(name, f"vision: {kind}", build, example, classes="logits")


def _attentive(name: str, config: str, **settings: Any) -> Network:
    return _seeing(name, config, kind="attention", **settings)


def _other(
    name: str, build: Callable[[], nn.Module], example: Callable[[], object], classes: str = ""
) -> Network:
    return Network(name, "vision: more than classes", build, example, classes=classes)


def _residual_backbone(*sizes: int) -> transformers.ResNetConfig:
    return transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=list(sizes),
        depths=[1] * len(sizes),
        out_features=[f"stage{len(sizes)}"],
    )


def _detr() -> nn.Module:
    config = transformers.DetrConfig(
        **{"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None},
        backbone_config=_residual_backbone(16, 32),
        **{"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "num_queries": 5},
        **{"encoder_attention_heads": 4, "decoder_attention_heads": 4, "num_labels": 3},
        **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
    )
    return transformers.DetrForObjectDetection(config).train()


def _rt_detr() -> nn.Module:
    backbone = transformers.RTDetrResNetConfig(
        **{"embedding_size": 8, "hidden_sizes": [8, 16, 32, 32], "depths": [1, 1, 1, 1]},
        **{"layer_type": "basic", "out_features": ["stage2", "stage3", "stage4"]},
    )
    config = transformers.RTDetrConfig(
        backbone_config=backbone,
        **{"encoder_hidden_dim": 16, "encoder_in_channels": [16, 32, 32], "encoder_ffn_dim": 32},
        **{"encoder_attention_heads": 2, "decoder_in_channels": [16, 16, 16], "d_model": 16},
        **{"decoder_layers": 1, "decoder_ffn_dim": 32, "decoder_attention_heads": 2},
        **{"num_queries": 5, "num_denoising": 0, "num_labels": 3},
    )
    return transformers.RTDetrForObjectDetection(config).train()


def _upernet() -> nn.Module:
    backbone = transformers.ConvNextConfig(
        **{"num_stages": 4, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]},
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.UperNetConfig(
        backbone_config=backbone,
        **{"hidden_size": 16, "auxiliary_in_channels": 16, "auxiliary_channels": 8},
        num_labels=3,
    )
    return transformers.UperNetForSemanticSegmentation(config).train()


_CONVOLUTIONAL = (
    _seeing("ResNet", "ResNet", embedding_size=8, hidden_sizes=[16, 32], depths=[1, 2]),
    _seeing("ResNet, bottlenecks", "ResNet", embedding_size=8, layer_type="bottleneck", **_STAGES),
    _seeing("RegNet", "RegNet", embedding_size=8, groups_width=8, **_STAGES),
    _seeing("ConvNeXt", "ConvNext", num_stages=2, **_STAGES),
    _seeing("ConvNeXt V2", "ConvNextV2", num_stages=2, **_STAGES),
    _seeing("MobileNet V1", "MobileNetV1", depth_multiplier=0.125, min_depth=8),
    _seeing("MobileNet V2", "MobileNetV2", depth_multiplier=0.1, finegrained_output=False),
    _seeing(
        *("EfficientNet", "EfficientNet"),
        **{"width_coefficient": 0.2, "depth_coefficient": 0.2, "hidden_dim": 256},
    ),
    _seeing(
        *("BiT", "Bit"),
        **{"embedding_size": 32, "hidden_sizes": [32, 64], "depths": [1, 1], "num_groups": 8},
    ),
    _seeing(
        *("FocalNet", "FocalNet"),
        **{"image_size": 32, "embed_dim": 16, "depths": [1, 1]},
        **{"focal_levels": [1, 1], "focal_windows": [3, 3]},
    ),
    _seeing("SwiftFormer", "SwiftFormer", embed_dims=[16, 16, 32, 32], depths=[1, 1, 1, 1]),
    _seeing(
        *("PoolFormer", "PoolFormer"),
        **{"num_encoder_blocks": 2, "patch_sizes": [7, 3], "strides": [4, 2], "padding": [2, 1]},
        **_STAGES,
    ),
)

_ATTENTIVE = (
    _attentive("ViT", "ViT", **_VIT),
    _attentive("ViT, eager attention", "ViT", **_VIT, attn_implementation="eager"),
    _attentive("DeiT", "DeiT", **_VIT),
    _attentive("BEiT", "Beit", **_VIT, use_relative_position_bias=True),
    _attentive(
        *("DINOv2", "Dinov2"),
        **{name: value for name, value in _VIT.items() if name != "intermediate_size"},
        mlp_ratio=2,
    ),
    _attentive("Swin", "Swin", **_SWIN),
    _attentive("Swin V2", "Swinv2", **_SWIN),
    _attentive("CvT", "Cvt", embed_dim=[8, 16, 16], depth=[1, 2, 3], num_heads=[1, 2, 2]),
    _attentive("PVT", "Pvt", image_size=32, sequence_reduction_ratios=[2, 2, 1, 1], **_FOUR_STAGES),
    _attentive(
        *("LeViT", "Levit"),
        **{"image_size": 64, "hidden_sizes": [32, 48, 64], "depths": [1, 1, 1]},
        **{"num_attention_heads": [2, 3, 4], "key_dim": [8, 8, 8], "example": large_images},
    ),
    _attentive(
        *("MobileViT", "MobileViT"),
        **{"hidden_sizes": [32, 48, 64], "neck_hidden_sizes": [8, 16, 16, 24, 32, 32, 64]},
        image_size=32,
    ),
    _attentive("SegFormer", "Segformer", decoder_hidden_size=16, **_FOUR_STAGES),
)

_OTHER = (
    _other(
        "SegFormer, segmentation",
        built(
            *("Segformer", "ForSemanticSegmentation"),
            **{"num_labels": 5, "decoder_hidden_size": 16},
            **_FOUR_STAGES,
        ),
        *(images, "logits"),
    ),
    _other("UPerNet", _upernet, large_images, "logits"),
    _other(
        "DPT, depth",
        built(
            *("DPT", "ForDepthEstimation"),
            **{**_VIT, "num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3]},
            **{"neck_hidden_sizes": [8, 8, 16, 16], "fusion_hidden_size": 16},
        ),
        images,
    ),
    _other("DETR", _detr, large_images),
    _other("RT-DETR", _rt_detr, large_images),
    _other(
        "YOLOS",
        built(
            *("Yolos", "ForObjectDetection"),
            **{**_VIT, "image_size": [32, 32], "num_detection_tokens": 4, "num_labels": 3},
        ),
        images,
    ),
    _other(
        "ViT-MAE",
        built(
            *("ViTMAE", "ForPreTraining"),
            **_VIT,
            **{"decoder_hidden_size": 16, "decoder_num_hidden_layers": 1},
            **{"decoder_num_attention_heads": 2, "decoder_intermediate_size": 32},
        ),
        images,
    ),
    _other(
        "Swin2SR, super-resolution",
        built(
            *("Swin2SR", "ForImageSuperResolution"),
            **{"image_size": 16, "patch_size": 1, "embed_dim": 16, "depths": [1, 1]},
            **{"num_heads": [2, 2], "window_size": 4, "upscale": 2},
        ),
        lambda: images(16),
    ),
    _other(
        "CLIP",
        built("CLIP", "Model", projection_dim=16, vision_config={**_VIT}, text_config={**_TEXT}),
        images_and_words,
    ),
    _other(
        "SigLIP",
        built(
            *("Siglip", "Model"),
            vision_config={**_VIT},
            text_config={**_TEXT, "projection_size": 32},
        ),
        images_and_words,
    ),
    _other(
        "ViLT",
        built("Vilt", "Model", **{**_VIT, **_TEXT}),
        images_and_words,
    ),
    Network(
        "TimeSformer",
        "vision: more than classes",
        built(
            *("Timesformer", "ForVideoClassification"),
            **{**_VIT, "image_size": 16, "num_frames": 4, "num_labels": 3},
        ),
        lambda: random(BATCH, 4, 3, 16, 16),
        classes="logits",
    ),
)

VISION = (*_CONVOLUTIONAL, *_ATTENTIVE, *_OTHER)
