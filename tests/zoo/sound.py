"""Networks that hear, and networks of series, from small configurations of transformers."""
# ruff: noqa: PIE800, PIE804 -- long lists of settings are easier to read in lines of several

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .network import BATCH, Network, random, whole
from .vision import built

_FRONT: Mapping[str, Any] = {
    **{"conv_dim": [16, 16], "conv_stride": [5, 4], "conv_kernel": [10, 8]},
    **{"num_feat_extract_layers": 2, "num_conv_pos_embeddings": 8, "apply_spec_augment": False},
    **{"num_conv_pos_embedding_groups": 4, "hidden_size": 32},
}
_WAV: Mapping[str, Any] = {
    **_FRONT,
    **{"num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64},
    **{"num_labels": 3, "classifier_proj_size": 16},
}
_PAIR: Mapping[str, Any] = {
    **{"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4},
    **{"decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
    **{"vocab_size": 64, "use_cache": False},
}
_SERIES: Mapping[str, Any] = {
    **{"prediction_length": 6, "context_length": 16, "lags_sequence": [1, 2, 7]},
    **{"num_time_features": 2, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
    **{"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32},
    **{"decoder_ffn_dim": 32, "use_cache": False},
}


def _waves() -> Tensor:
    return random(BATCH, 400)


def _spectra(name: str, *shape: int) -> Callable[[], dict[str, Tensor]]:
    def example() -> dict[str, Tensor]:
        return {name: random(BATCH, *shape), "decoder_input_ids": whole(60, BATCH, 6)}

    return example


def _past() -> dict[str, Tensor]:
    return {
        "past_values": random(BATCH, 23),
        "past_time_features": random(BATCH, 23, 2),
        "past_observed_mask": torch.ones(BATCH, 23),
        "future_values": random(BATCH, 6, seed=5),
        "future_time_features": random(BATCH, 6, 2, seed=6),
    }


def _games() -> dict[str, Tensor]:
    return {
        "states": random(BATCH, 5, 5),
        "actions": random(BATCH, 5, 3),
        "rewards": random(BATCH, 5, 1),
        "returns_to_go": random(BATCH, 5, 1),
        "timesteps": torch.arange(5).repeat(BATCH, 1),
        "attention_mask": torch.ones(BATCH, 5),
    }


def _hears(
    name: str,
    config: str,
    *,
    example: Callable[[], object] = _waves,
    model: str = "ForSequenceClassification",
    **settings: Any,
) -> Network:
    return Network(name, "sound", built(config, model, **settings), example, classes="logits")


def _foresees(
    name: str,
    config: str,
    *,
    model: str = "ForPrediction",
    example: Callable[[], object] = _past,
    classes: str = "",
    **settings: Any,
) -> Network:
    return Network(name, "series", built(config, model, **settings), example, classes=classes)


_SOUND = (
    _hears("Wav2Vec2", "Wav2Vec2", **_WAV),
    _hears(
        *("Wav2Vec2, layer norm", "Wav2Vec2"),
        **{"do_stable_layer_norm": True, "feat_extract_norm": "layer", **_WAV},
    ),
    _hears("HuBERT", "Hubert", **_WAV),
    _hears("WavLM", "WavLM", **_WAV),
    _hears("Data2Vec, sound", "Data2VecAudio", **_WAV),
    _hears("Wav2Vec2-Conformer", "Wav2Vec2Conformer", conv_depthwise_kernel_size=5, **_WAV),
    _hears(
        *("Wav2Vec2-BERT", "Wav2Vec2Bert"),
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
        **{"intermediate_size": 64, "feature_projection_input_dim": 20, "num_labels": 3},
        **{"classifier_proj_size": 16, "conv_depthwise_kernel_size": 5},
        **{"apply_spec_augment": False, "example": lambda: random(BATCH, 12, 20)},
    ),
    _hears(
        *("AST", "AST"),
        **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
        **{"intermediate_size": 64, "patch_size": 4, "frequency_stride": 4, "time_stride": 4},
        **{"max_length": 16, "num_mel_bins": 8, "num_labels": 5},
        **{"model": "ForAudioClassification", "example": lambda: random(BATCH, 16, 8)},
    ),
    _hears(
        *("Whisper", "Whisper"),
        **{"d_model": 32, "num_mel_bins": 8, "max_source_positions": 16, **_PAIR},
        **{"max_target_positions": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2},
        **{"decoder_start_token_id": 1, "begin_suppress_tokens": None, "suppress_tokens": None},
        model="ForConditionalGeneration",
        example=_spectra("input_features", 8, 32),
    ),
    _hears(
        *("SpeechT5", "SpeechT5"),
        **{**_FRONT, **_PAIR, "max_text_positions": 32, "max_speech_positions": 64},
        model="ForSpeechToText",
        example=_spectra("input_values", 400),
    ),
    _hears(
        *("Speech2Text", "Speech2Text"),
        **{"d_model": 32, "input_feat_per_channel": 8, "conv_channels": 16, **_PAIR},
        **{"max_source_positions": 32, "max_target_positions": 16},
        model="ForConditionalGeneration",
        example=_spectra("input_features", 32, 8),
    ),
    Network(
        "EnCodec",
        "sound",
        built(
            *("Encodec", "Model"),
            **{"num_filters": 4, "upsampling_ratios": [4, 2], "num_lstm_layers": 1},
            **{"codebook_size": 16, "codebook_dim": 8, "hidden_size": 8},
            **{"target_bandwidths": [24.0], "sampling_rate": 24000},
        ),
        lambda: random(BATCH, 1, 64),
    ),
    Network(
        "UnivNet",
        "sound",
        built(
            *("UnivNet", "Model"),
            **{"model_hidden_channels": 8, "kernel_predictor_hidden_channels": 8},
            **{"num_mel_bins": 8, "model_in_channels": 8, "resblock_kernel_sizes": [3]},
            **{"resblock_stride_sizes": [2], "resblock_dilation_sizes": [[1, 3]]},
            kernel_predictor_num_blocks=1,
        ),
        lambda: {
            "input_features": random(BATCH, 6, 8),
            "noise_sequence": random(BATCH, 6, 8, seed=4),
        },
    ),
)

_OF_SERIES = (
    _foresees("Time series transformer", "TimeSeriesTransformer", **_SERIES),
    _foresees("Informer", "Informer", **_SERIES),
    _foresees("Autoformer", "Autoformer", **{**_SERIES, "label_length": 4}),
    _foresees(
        *("PatchTST", "PatchTST"),
        **{"num_input_channels": 3, "num_targets": 4, "context_length": 16, "patch_length": 4},
        **{"patch_stride": 4, "num_hidden_layers": 1, "d_model": 16, "ffn_dim": 32},
        **{"num_attention_heads": 2, "use_cls_token": True, "model": "ForClassification"},
        **{"example": lambda: random(BATCH, 16, 3), "classes": "prediction_logits"},
    ),
    _foresees(
        *("PatchTSMixer", "PatchTSMixer"),
        **{"num_input_channels": 3, "context_length": 16, "patch_length": 4, "d_model": 8},
        **{"patch_stride": 4, "prediction_length": 4, "num_layers": 2, "head_dropout": 0.1},
        example=lambda: random(BATCH, 16, 3),
    ),
    _foresees(
        *("TimesFM", "TimesFm"),
        **{"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 8},
        **{"intermediate_size": 32, "patch_length": 4, "context_length": 16},
        **{"horizon_length": 4, "model": "ModelForPrediction"},
        example=lambda: {"past_values": [*random(BATCH, 16)], "freq": [0] * BATCH},
    ),
    _foresees(
        *("Decision transformer", "DecisionTransformer"),
        **{"state_dim": 5, "act_dim": 3, "hidden_size": 16, "n_layer": 1, "n_head": 2},
        **{"max_ep_len": 32, "n_positions": 32, "bos_token_id": None, "eos_token_id": None},
        **{"model": "Model", "example": _games},
    ),
)

SOUND = (*_SOUND, *_OF_SERIES)
