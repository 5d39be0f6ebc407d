"""Networks that see, from small configurations of transformers."""

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
    **{"image_size": 32, "patch_size": 4, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 4]},
    **{"window_size": 4, "num_labels": 5},
}


def _images(side: int = 32) -> Tensor:
    return random(BATCH, 3, side, side)


def _large_images() -> Tensor:
    return _images(64)


def built(config: str, model: str, **settings: Any) -> Callable[[], nn.Module]:
    """Return what makes a network of transformers from a configuration, without a download."""

    def build() -> nn.Module:
        made = getattr(transformers, config)(**settings)
        network: nn.Module = getattr(transformers, model)(made)
        return network.train()

    return build


def _classifier(name: str, family: str, config: str, **settings: Any) -> Network:
    made = built(f"{config}Config", f"{config}ForImageClassification", num_labels=5, **settings)
    return Network(name, family, made, _images, classes="logits")


def _pixels_and_words() -> dict[str, Tensor]:
    return {"input_ids": whole(60, BATCH, 7), "pixel_values": _images()}


CONVOLUTIONAL = (
    _classifier(
        *("ResNet", "vision: convolutions", "ResNet"),
        **{"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 2]},
    ),
    _classifier(
        *("ResNet, bottlenecks", "vision: convolutions", "ResNet"),
        **{"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 1]},
        layer_type="bottleneck",
    ),
    _classifier(
        *("RegNet", "vision: convolutions", "RegNet"),
        **{"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 1], "groups_width": 8},
    ),
    _classifier(
        *("ConvNeXt", "vision: convolutions", "ConvNext"), hidden_sizes=[16, 32], depths=[1, 1], num_stages=2
    ),
    _classifier(
        *("ConvNeXt V2", "vision: convolutions", "ConvNextV2"), hidden_sizes=[16, 32], depths=[1, 1], num_stages=2
    ),
    _classifier(
        "MobileNet V1", "vision: convolutions", "MobileNetV1", depth_multiplier=0.125, min_depth=8
    ),
    _classifier(
        *("MobileNet V2", "vision: convolutions", "MobileNetV2"),
        **{"depth_multiplier": 0.1, "finegrained_output": False},
    ),
    _classifier(
        *("EfficientNet", "vision: convolutions", "EfficientNet"),
        **{"width_coefficient": 0.2, "depth_coefficient": 0.2, "hidden_dim": 256},
    ),
    _classifier(
        *("BiT", "vision: convolutions", "Bit"),
        **{"embedding_size": 32, "hidden_sizes": [32, 64], "depths": [1, 1], "num_groups": 8},
    ),
    _classifier(
        *("FocalNet", "vision: convolutions", "FocalNet"),
        **{"image_size": 32, "embed_dim": 16, "depths": [1, 1], "focal_levels": [1, 1]},
        focal_windows=[3, 3],
    ),
    _classifier("SwiftFormer", "vision: convolutions", "SwiftFormer", **{
        "embed_dims": [16, 16, 32, 32], "depths": [1, 1, 1, 1]}),
    _classifier(
        *("PoolFormer", "vision: convolutions", "PoolFormer"),
        **{"hidden_sizes": [16, 32], "depths": [1, 1], "num_encoder_blocks": 2},
        **{"patch_sizes": [7, 3], "strides": [4, 2], "padding": [2, 1]},
    ),
)

ATTENTIVE = (
    _classifier("ViT", "vision: attention", "ViT", **_VIT),
    _classifier("ViT, eager attention", "vision: attention", "ViT", **_VIT, attn_implementation="eager"),
    _classifier("DeiT", "vision: attention", "DeiT", **_VIT),
    _classifier("BEiT", "vision: attention", "Beit", **_VIT, use_relative_position_bias=True),
    _classifier("DINOv2", "vision: attention", "Dinov2", **{k: v for k, v in _VIT.items() if k != "intermediate_size"}, mlp_ratio=2),
    _classifier("Swin", "vision: attention", "Swin", **{k: v for k, v in _SWIN.items() if k != "num_labels"}),
    _classifier("Swin V2", "vision: attention", "Swinv2", **{k: v for k, v in _SWIN.items() if k != "num_labels"}),
    _classifier("CvT", "vision: attention", "Cvt", embed_dim=[16, 16, 32], depth=[1, 1, 2], num_heads=[1, 2, 2]),
    _classifier("PVT", "vision: attention", "Pvt", image_size=32, depths=[1,1,1,1], hidden_sizes=[16,16,32,32], num_attention_heads=[1,1,2,2], mlp_ratios=[2,2,2,2], sequence_reduction_ratios=[2,2,1,1]),
    Network("LeViT", "vision: attention", built("LevitConfig","LevitForImageClassification",num_labels=5, image_size=64, patch_size=16, hidden_sizes=[32, 48, 64], depths=[1,1,1], num_attention_heads=[2,3,4], key_dim=[8,8,8]), _large_images, classes="logits"),
    _classifier("MobileViT", "vision: attention", "MobileViT", hidden_sizes=[32, 48, 64], neck_hidden_sizes=[8, 16, 16, 24, 32, 32, 64], image_size=32),
    _classifier("SegFormer", "vision: attention", "Segformer", hidden_sizes=[16,16,32,32], depths=[1,1,1,1], num_attention_heads=[1,1,2,2], decoder_hidden_size=16, mlp_ratios=[2,2,2,2]),
    Network("SegFormer, segmentation", "vision: attention", built("SegformerConfig", "SegformerForSemanticSegmentation", num_labels=5, hidden_sizes=[16,16,32,32], depths=[1,1,1,1], num_attention_heads=[1,1,2,2], decoder_hidden_size=16), _images, classes="logits"),
    Network("DPT", "vision: attention", built("DPTConfig", "DPTForDepthEstimation", **{**_VIT, "num_hidden_layers": 4}, backbone_out_indices=[0,1,2,3], neck_hidden_sizes=[8,8,16,16], fusion_hidden_size=16, is_hybrid=False, head_in_index=-1), _images),
    Network("YOLOS", "vision: attention", built("YolosConfig", "YolosForObjectDetection", **{**_VIT, "image_size": [32, 32]}, num_detection_tokens=4, num_labels=3), _images),
    Network("ViT-MAE", "vision: attention", built("ViTMAEConfig", "ViTMAEForPreTraining", **_VIT, decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=2, decoder_intermediate_size=32), _images),
    Network("DETR", "vision: attention", lambda: transformers.DetrForObjectDetection(transformers.DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=transformers.ResNetConfig(embedding_size=8, hidden_sizes=[16, 32], depths=[1, 1], out_features=["stage2"]), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, num_queries=5, num_labels=3)).train(), _large_images),
    Network("CLIP", "vision: attention", built("CLIPConfig", "CLIPModel", projection_dim=16,
      vision_config=dict(_VIT), text_config={"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 64, "max_position_embeddings": 16, "eos_token_id": 63, "bos_token_id": 62, "pad_token_id": 1}), _pixels_and_words),
    Network("SigLIP", "vision: attention", built("SiglipConfig", "SiglipModel",
      vision_config=dict(_VIT), text_config={"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": 64, "max_position_embeddings": 16, "projection_size": 32}), _pixels_and_words),
)

VISION = (*CONVOLUTIONAL, *ATTENTIVE)
