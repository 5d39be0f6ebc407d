"""Networks that read and write, from small configurations of transformers."""
# ruff: noqa: PIE800, PIE804 -- long lists of settings are easier to read in lines of several

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from .network import BATCH, Network, whole
from .vision import built

_WORDS, _STEPS = 64, 8
_TOKENS: Mapping[str, Any] = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_SIZES: Mapping[str, Any] = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    **{"intermediate_size": 64, "vocab_size": _WORDS, "max_position_embeddings": 32},
}
_LLAMA: Mapping[str, Any] = {**_SIZES, **_TOKENS, "num_key_value_heads": 2, "use_cache": False}
_GPT: Mapping[str, Any] = {
    **{"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": _WORDS, "n_positions": 32},
    **_TOKENS,
}
_NARROW: Mapping[str, Any] = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": _WORDS, "use_cache": False},
    **_TOKENS,
}
_T5: Mapping[str, Any] = {
    **{"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4},
    **{"vocab_size": _WORDS, "use_cache": False},
}
_BART: Mapping[str, Any] = {
    **{"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4},
    **{"decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64},
    **{"vocab_size": _WORDS, "use_cache": False},
}


def _words() -> Tensor:
    return whole(_WORDS - 4, BATCH, _STEPS) + 3


def _named_words() -> dict[str, Tensor]:
    return {"input_ids": _words()}


def _masked_words() -> dict[str, Tensor]:
    mask = torch.ones(BATCH, _STEPS, dtype=torch.long)
    mask[0, 6:] = 0
    return {"input_ids": _words(), "attention_mask": mask}


def _two_texts() -> dict[str, Tensor]:
    written = whole(_WORDS - 4, BATCH, 6, seed=4) + 3
    return {"input_ids": _words(), "decoder_input_ids": written}


def _characters() -> dict[str, Tensor]:
    return {"input_ids": whole(_WORDS, BATCH, 16), "attention_mask": torch.ones(BATCH, 16)}


def _reads(
    name: str,
    config: str,
    *,
    example: Callable[[], object] = _masked_words,
    model: str = "ForSequenceClassification",
    **settings: Any,
) -> Network:
    settings = {"num_labels": 3, **settings}
    build = built(config, model, **settings)
    return Network(name, "language: encoders", build, example, classes="logits")


def _writes(
    name: str,
    config: str,
    *,
    example: Callable[[], object] = _words,
    model: str = "ForCausalLM",
    **settings: Any,
) -> Network:
    build = built(config, model, **settings)
    return Network(name, "language: decoders", build, example, classes="logits")


def _translates(name: str, config: str, **settings: Any) -> Network:
    build = built(config, "ForConditionalGeneration", **settings)
    return Network(name, "language: encoder and decoder", build, _two_texts, classes="logits")


def _without(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in names}


_ENCODERS = (
    _reads("BERT", "Bert", **_SIZES),
    _reads(
        "BERT, eager attention", "Bert", model="ForMaskedLM", attn_implementation="eager", **_SIZES
    ),
    _reads("RoBERTa", "Roberta", **_SIZES),
    _reads("ALBERT, shared layers", "Albert", embedding_size=16, **_SIZES),
    _reads(
        *("DistilBERT", "DistilBert"),
        **{"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
        **{"vocab_size": _WORDS, "max_position_embeddings": 32},
    ),
    _reads("ELECTRA", "Electra", embedding_size=16, **_SIZES),
    _reads(
        *("DeBERTa V2", "DebertaV2"),
        **{"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
        **_SIZES,
    ),
    _reads(
        *("MobileBERT", "MobileBert"),
        **{"embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
        **_SIZES,
    ),
    _reads("SqueezeBERT", "SqueezeBert", embedding_size=32, **_SIZES),
    _reads("ConvBERT", "ConvBert", embedding_size=16, **_SIZES),
    _reads("FNet", "FNet", example=_words, **_SIZES),
    _reads(
        *("Longformer", "Longformer"),
        **{**_SIZES, "max_position_embeddings": 40, "attention_window": 4},
    ),
    _reads("ModernBERT", "ModernBert", **_SIZES, **_TOKENS, cls_token_id=1, sep_token_id=2),
    _reads(
        *("Funnel", "Funnel"),
        **{"vocab_size": _WORDS, "block_sizes": [1, 1], "num_decoder_layers": 1},
        **{"d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64},
    ),
    _reads(
        *("CANINE", "Canine"),
        **{"num_hash_buckets": 64, "num_hash_functions": 4, "local_transformer_stride": 8},
        **_without(_SIZES, "vocab_size"),
        example=_characters,
    ),
    _reads(
        *("XLNet", "XLNet"),
        **{"vocab_size": _WORDS, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
    ),
    _reads("I-BERT", "IBert", **_SIZES),
    _reads("ESM", "Esm", model="ForMaskedLM", pad_token_id=0, mask_token_id=1, **_SIZES),
    _reads(
        *("Perceiver", "Perceiver"),
        **{"num_latents": 8, "d_latents": 16, "d_model": 16, "num_blocks": 1},
        **{"num_self_attends_per_block": 1, "num_self_attention_heads": 2},
        **{"num_cross_attention_heads": 2, "vocab_size": _WORDS, "max_position_embeddings": 16},
        example=lambda: {"inputs": _words()},
    ),
)

_DECODERS = (
    _writes("GPT-2", "GPT2", model="LMHeadModel", use_cache=False, **_GPT),
    _writes(
        *("GPT-2, eager attention", "GPT2"),
        **{"model": "ForSequenceClassification", "example": _named_words, "num_labels": 3},
        **{"attn_implementation": "eager", "use_cache": False},
        **_GPT,
    ),
    _writes("OpenAI GPT", "OpenAIGPT", model="LMHeadModel", **_without(_GPT, *_TOKENS)),
    _writes(
        *("GPT-Neo", "GPTNeo"),
        **{"hidden_size": 32, "num_layers": 2, "num_heads": 4, "vocab_size": _WORDS},
        **{"attention_types": [[["global", "local"], 1]], "max_position_embeddings": 32},
        **{"use_cache": False, **_TOKENS},
    ),
    _writes("GPT-NeoX", "GPTNeoX", use_cache=False, **_SIZES, **_TOKENS),
    _writes("GPT-J", "GPTJ", rotary_dim=4, use_cache=False, **_GPT),
    _writes(
        *("OPT", "OPT"),
        **{"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 2, "ffn_dim": 64},
        **{"num_attention_heads": 4, "vocab_size": _WORDS, "max_position_embeddings": 32},
        **{"use_cache": False, **_TOKENS},
    ),
    _writes("Llama", "Llama", **_LLAMA),
    _writes("Llama, eager attention", "Llama", attn_implementation="eager", **_LLAMA),
    _writes("Mistral", "Mistral", **_LLAMA),
    _writes("Mixtral, experts", "Mixtral", num_local_experts=4, num_experts_per_tok=2, **_LLAMA),
    _writes("Gemma", "Gemma", head_dim=8, **_LLAMA),
    _writes("Gemma 2", "Gemma2", head_dim=8, **_LLAMA),
    _writes("Qwen 2", "Qwen2", **_LLAMA),
    _writes(
        *("Qwen 3, experts", "Qwen3Moe"),
        **{"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32},
        **{"head_dim": 8, **_LLAMA},
    ),
    _writes("Phi", "Phi", **_without(_LLAMA, "num_key_value_heads")),
    _writes("Phi 3", "Phi3", **_LLAMA),
    _writes("Cohere", "Cohere", **_LLAMA),
    _writes("Starcoder 2", "Starcoder2", **_LLAMA),
    _writes("Falcon", "Falcon", num_attention_heads=4, **_NARROW),
    _writes("BLOOM", "Bloom", n_head=4, n_layer=2, **_without(_NARROW, "num_hidden_layers")),
    _writes(
        *("MPT", "Mpt"),
        **{"d_model": 32, "n_layers": 2, "n_heads": 4, "vocab_size": _WORDS, "max_seq_len": 32},
        use_cache=False,
    ),
    _writes(
        *("CTRL", "CTRL"),
        **{"n_embd": 32, "n_layer": 2, "n_head": 4, "dff": 64, "vocab_size": _WORDS},
        **{"n_positions": 32, "use_cache": False, "model": "LMHeadModel"},
    ),
    _writes("Mamba", "Mamba", state_size=4, **_NARROW),
    _writes(
        *("Mamba 2", "Mamba2"),
        **{"state_size": 4, "head_dim": 16, "num_heads": 4, "n_groups": 1, "chunk_size": 4},
        **_NARROW,
    ),
    _writes("RWKV", "Rwkv", attention_hidden_size=32, context_length=32, **_NARROW),
    _writes(
        *("RecurrentGemma", "RecurrentGemma"),
        **{**_LLAMA, "num_hidden_layers": 3, "lru_width": 32, "num_key_value_heads": 1},
        attention_window_size=8,
    ),
    _writes("xLSTM", "xLSTM", num_heads=4, chunk_size=8, **_NARROW),
)

_BOTH = (
    _translates("T5", "T5", **_T5),
    _translates("T5, gated GELU", "T5", feed_forward_proj="gated-gelu", **_T5),
    _translates(
        *("Switch Transformer, experts", "SwitchTransformers"),
        **{**_T5, "num_experts": 2, "num_layers": 1, "num_decoder_layers": 1},
        **{"num_sparse_encoder_layers": 1, "num_sparse_decoder_layers": 1},
    ),
    _translates(
        *("BART", "Bart"),
        **{**_BART, **_TOKENS, "max_position_embeddings": 32},
        **{"decoder_start_token_id": 2, "forced_eos_token_id": 2},
    ),
    _translates(
        *("ProphetNet", "ProphetNet"),
        **{"hidden_size": 32, "num_encoder_layers": 1, "num_decoder_layers": 1},
        **{"num_encoder_attention_heads": 4, "num_decoder_attention_heads": 4},
        **{"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "vocab_size": _WORDS},
        **{"max_position_embeddings": 32, "use_cache": False},
    ),
    _translates(
        *("LED", "LED"),
        **{**_BART, "attention_window": 4},
        **{"max_encoder_position_embeddings": 32, "max_decoder_position_embeddings": 32},
    ),
)

LANGUAGE = (*_ENCODERS, *_DECODERS, *_BOTH)
