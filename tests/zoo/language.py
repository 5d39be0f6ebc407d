from __future__ import annotations
from typing import Any
import torch, transformers
from torch import Tensor
from .network import BATCH, Network, random, whole
from .vision import built

WORDS=64
_BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "vocab_size": WORDS, "max_position_embeddings": 32}
_LLAMA = {**_BERT, "num_key_value_heads": 2, "use_cache": False, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

def _ids(): return whole(WORDS-4, BATCH, 8)+3
def _ids_kw(): return {"input_ids": _ids()}
def _masked():
    mask = torch.ones(BATCH, 8, dtype=torch.long); mask[0, 6:] = 0
    return {"input_ids": _ids(), "attention_mask": mask}
def _pair():
    return {"input_ids": _ids(), "decoder_input_ids": whole(WORDS-4, BATCH, 6, seed=4)+3}

def bert(name, config, model, example=_masked, **kw):
    return Network(name, "language: encoders", built(config, model, **kw), example, classes="logits")
def lm(name, config, model, example=_ids, **kw):
    return Network(name, "language: decoders", built(config, model, **kw), example, classes="logits")

ENC=(
 bert("BERT, classifier","BertConfig","BertForSequenceClassification", num_labels=3, **_BERT),
 bert("BERT, eager attention","BertConfig","BertForMaskedLM", attn_implementation="eager", **_BERT),
 bert("RoBERTa","RobertaConfig","RobertaForSequenceClassification", num_labels=3, **_BERT),
 bert("ALBERT","AlbertConfig","AlbertForSequenceClassification", num_labels=3, embedding_size=16, **_BERT),
 bert("DistilBERT","DistilBertConfig","DistilBertForSequenceClassification", num_labels=3, dim=32,n_layers=2,n_heads=4,hidden_dim=64,vocab_size=WORDS,max_position_embeddings=32),
 bert("ELECTRA","ElectraConfig","ElectraForSequenceClassification", num_labels=3, embedding_size=16, **_BERT),
 bert("DeBERTa V2","DebertaV2Config","DebertaV2ForSequenceClassification", num_labels=3, relative_attention=True, pos_att_type=["p2c","c2p"], **_BERT),
 bert("MobileBERT","MobileBertConfig","MobileBertForSequenceClassification", num_labels=3, embedding_size=16, intra_bottleneck_size=16, true_hidden_size=16, **_BERT),
 bert("SqueezeBERT","SqueezeBertConfig","SqueezeBertForSequenceClassification", num_labels=3, embedding_size=32, **_BERT),
 bert("ConvBERT","ConvBertConfig","ConvBertForSequenceClassification", num_labels=3, embedding_size=16, **_BERT),
 bert("FNet","FNetConfig","FNetForSequenceClassification",example=_ids, num_labels=3, **_BERT),
 bert("MPNet","MPNetConfig","MPNetForSequenceClassification", num_labels=3, **_BERT),
 bert("Longformer","LongformerConfig","LongformerForSequenceClassification", num_labels=3, attention_window=4, **{**_BERT,"max_position_embeddings":40}),
 bert("ModernBERT","ModernBertConfig","ModernBertForSequenceClassification", num_labels=3, pad_token_id=0, **_BERT),
 bert("Funnel","FunnelConfig","FunnelForSequenceClassification", num_labels=3, vocab_size=WORDS, block_sizes=[1,1], num_decoder_layers=1, d_model=32,n_head=4,d_head=8,d_inner=64),
 bert("RemBERT","RemBertConfig","RemBertForSequenceClassification", num_labels=3, input_embedding_size=16, output_embedding_size=16, **_BERT),
 bert("Nystromformer","NystromformerConfig","NystromformerForSequenceClassification", num_labels=3, segment_means_seq_len=8,num_landmarks=4, **_BERT),
 bert("CANINE","CanineConfig","CanineForSequenceClassification", example=lambda: {"input_ids": whole(WORDS, BATCH, 16)}, num_labels=3, num_hash_buckets=64, num_hash_functions=4, local_transformer_stride=8, **{k:v for k,v in _BERT.items() if k!='vocab_size'}),
 bert("XLNet","XLNetConfig","XLNetForSequenceClassification", num_labels=3, vocab_size=WORDS,d_model=32,n_layer=2,n_head=4,d_inner=64),
 bert("LayoutLM","LayoutLMConfig","LayoutLMForTokenClassification", example=lambda: {"input_ids": _ids(), "bbox": whole(30, BATCH, 8, 4)}, num_labels=3, max_2d_position_embeddings=64, **_BERT),
 bert("I-BERT","IBertConfig","IBertForSequenceClassification", num_labels=3, **_BERT),
 bert("ESM","EsmConfig","EsmForMaskedLM", pad_token_id=0, mask_token_id=1, **_BERT),
)
DEC=(
 lm("GPT-2","GPT2Config","GPT2LMHeadModel", n_embd=32,n_layer=2,n_head=4,vocab_size=WORDS,n_positions=32,use_cache=False,bos_token_id=1,eos_token_id=2),
 lm("GPT-2, eager attention","GPT2Config","GPT2ForSequenceClassification", example=_ids_kw, num_labels=3, n_embd=32,n_layer=2,n_head=4,vocab_size=WORDS,n_positions=32,use_cache=False,pad_token_id=0,bos_token_id=1,eos_token_id=2,attn_implementation="eager"),
 lm("GPT-Neo","GPTNeoConfig","GPTNeoForCausalLM", hidden_size=32,num_layers=2,num_heads=4,attention_types=[[["global","local"],1]],vocab_size=WORDS,max_position_embeddings=32,use_cache=False,bos_token_id=1,eos_token_id=2),
 lm("GPT-NeoX","GPTNeoXConfig","GPTNeoXForCausalLM", **{**_BERT,"use_cache":False,"bos_token_id":1,"eos_token_id":2}),
 lm("GPT-J","GPTJConfig","GPTJForCausalLM", n_embd=32,n_layer=2,n_head=4,rotary_dim=4,vocab_size=WORDS,n_positions=32,use_cache=False,bos_token_id=1,eos_token_id=2),
 lm("CodeGen","CodeGenConfig","CodeGenForCausalLM", n_embd=32,n_layer=2,n_head=4,rotary_dim=4,vocab_size=WORDS,n_positions=32,n_ctx=32,use_cache=False,bos_token_id=1,eos_token_id=2),
 lm("OPT","OPTConfig","OPTForCausalLM", hidden_size=32,word_embed_proj_dim=32,num_hidden_layers=2,num_attention_heads=4,ffn_dim=64,vocab_size=WORDS,max_position_embeddings=32,use_cache=False,pad_token_id=0),
 lm("Llama","LlamaConfig","LlamaForCausalLM", **_LLAMA),
 lm("Llama, eager attention","LlamaConfig","LlamaForCausalLM", attn_implementation="eager", **_LLAMA),
 lm("Mistral","MistralConfig","MistralForCausalLM", **_LLAMA),
 lm("Mixtral","MixtralConfig","MixtralForCausalLM", num_local_experts=4, num_experts_per_tok=2, **_LLAMA),
 lm("Gemma","GemmaConfig","GemmaForCausalLM", head_dim=8, **_LLAMA),
 lm("Gemma 2","Gemma2Config","Gemma2ForCausalLM", head_dim=8, **_LLAMA),
 lm("Qwen 2","Qwen2Config","Qwen2ForCausalLM", **_LLAMA),
 lm("Qwen 3 MoE","Qwen3MoeConfig","Qwen3MoeForCausalLM", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, head_dim=8, **_LLAMA),
 lm("Phi","PhiConfig","PhiForCausalLM", **{k:v for k,v in _LLAMA.items() if k!='num_key_value_heads'}),
 lm("Phi 3","Phi3Config","Phi3ForCausalLM", **_LLAMA),
 lm("Falcon","FalconConfig","FalconForCausalLM", hidden_size=32,num_hidden_layers=2,num_attention_heads=4,vocab_size=WORDS,use_cache=False,bos_token_id=1,eos_token_id=2),
 lm("BLOOM","BloomConfig","BloomForCausalLM", hidden_size=32,n_layer=2,n_head=4,vocab_size=WORDS,use_cache=False,bos_token_id=1,eos_token_id=2),
 lm("MPT","MptConfig","MptForCausalLM", d_model=32,n_layers=2,n_heads=4,vocab_size=WORDS,max_seq_len=32,use_cache=False),
 lm("StableLM","StableLmConfig","StableLmForCausalLM", **_LLAMA),
 lm("OLMo","OlmoConfig","OlmoForCausalLM", **_LLAMA),
 lm("Cohere","CohereConfig","CohereForCausalLM", **_LLAMA),
 lm("Starcoder 2","Starcoder2Config","Starcoder2ForCausalLM", **_LLAMA),
 lm("CTRL","CTRLConfig","CTRLLMHeadModel", n_embd=32,n_layer=2,n_head=4,dff=64,vocab_size=WORDS,n_positions=32,use_cache=False),
 lm("OpenAI GPT","OpenAIGPTConfig","OpenAIGPTLMHeadModel", n_embd=32,n_layer=2,n_head=4,vocab_size=WORDS,n_positions=32),
 lm("Mamba","MambaConfig","MambaForCausalLM", hidden_size=32,num_hidden_layers=2,state_size=4,vocab_size=WORDS,use_cache=False,bos_token_id=1,eos_token_id=2,pad_token_id=0),
 lm("Mamba 2","Mamba2Config","Mamba2ForCausalLM", hidden_size=32,num_hidden_layers=2,state_size=4,vocab_size=WORDS,head_dim=16,num_heads=4,n_groups=1,chunk_size=4,use_cache=False),
 lm("RWKV","RwkvConfig","RwkvForCausalLM", hidden_size=32,num_hidden_layers=2,attention_hidden_size=32,vocab_size=WORDS,context_length=32,use_cache=False),
 lm("RecurrentGemma","RecurrentGemmaConfig","RecurrentGemmaForCausalLM", **{**_LLAMA, "num_hidden_layers":3,"lru_width":32,"attention_window_size":8,"num_key_value_heads":1}),
 lm("xLSTM","xLSTMConfig","xLSTMForCausalLM", hidden_size=32,num_hidden_layers=2,num_heads=4,vocab_size=WORDS,chunk_size=8,use_cache=False),
 lm("T5","T5Config","T5ForConditionalGeneration", example=_pair, d_model=32,d_kv=8,d_ff=64,num_layers=2,num_heads=4,vocab_size=WORDS,use_cache=False),
 lm("T5, gated GELU","T5Config","T5ForConditionalGeneration", example=_pair, d_model=32,d_kv=8,d_ff=64,num_layers=1,num_heads=4,vocab_size=WORDS,use_cache=False,feed_forward_proj="gated-gelu"),
 lm("Switch Transformer","SwitchTransformersConfig","SwitchTransformersForConditionalGeneration", example=_pair, d_model=32,d_kv=8,d_ff=64,num_layers=2,num_heads=4,num_experts=4,num_sparse_encoder_layers=1,num_sparse_decoder_layers=1,vocab_size=WORDS,use_cache=False),
 lm("BART","BartConfig","BartForConditionalGeneration", example=_pair, d_model=32,encoder_layers=1,decoder_layers=1,encoder_attention_heads=4,decoder_attention_heads=4,encoder_ffn_dim=64,decoder_ffn_dim=64,vocab_size=WORDS,max_position_embeddings=32,use_cache=False,pad_token_id=1,bos_token_id=0,eos_token_id=2,decoder_start_token_id=2,forced_eos_token_id=2),
 lm("Pegasus","PegasusConfig","PegasusForConditionalGeneration", example=_pair, d_model=32,encoder_layers=1,decoder_layers=1,encoder_attention_heads=4,decoder_attention_heads=4,encoder_ffn_dim=64,decoder_ffn_dim=64,vocab_size=WORDS,max_position_embeddings=32,use_cache=False),
 lm("ProphetNet","ProphetNetConfig","ProphetNetForConditionalGeneration", example=_pair, hidden_size=32,num_encoder_layers=1,num_decoder_layers=1,num_encoder_attention_heads=4,num_decoder_attention_heads=4,encoder_ffn_dim=64,decoder_ffn_dim=64,vocab_size=WORDS,max_position_embeddings=32,use_cache=False),
 lm("LED","LEDConfig","LEDForConditionalGeneration", example=_pair, d_model=32,encoder_layers=1,decoder_layers=1,encoder_attention_heads=4,decoder_attention_heads=4,encoder_ffn_dim=64,decoder_ffn_dim=64,vocab_size=WORDS,max_encoder_position_embeddings=32,max_decoder_position_embeddings=32,attention_window=4,use_cache=False),
)
LANGUAGE=(*ENC,*DEC)
