"""Stands in for the original's decoder, with the names and arguments that the benchmark uses; written by us."""

from __future__ import annotations

import math
from typing import Any

import torch
import transformers
from kblam.models.kblam_config import KBLaMConfig
from torch import Tensor, nn
from transformers.models.llama.modeling_llama import LlamaAttention, apply_rotary_pos_emb


class Attention(LlamaAttention):
    def __init__(self, config: Any, layer_idx: int) -> None:
        super().__init__(config, layer_idx)
        self.q_proj_new = nn.Linear(*reversed(self.q_proj.weight.shape), bias=False)

    def forward(
        self, hidden_states: Tensor, position_embeddings: Any, attention_mask: Tensor, past_key_values: Any = None,
        kb_kvs: Any = None, kb_config: KBLaMConfig | None = None, **_: Any,
    ) -> tuple[Tensor, None]:  # fmt: skip
        def split(states: Tensor) -> Tensor:
            return states.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)

        query, key = apply_rotary_pos_emb(
            split(self.q_proj(hidden_states)), split(self.k_proj(hidden_states)), *position_embeddings
        )
        key, value = past_key_values.update(key, split(self.v_proj(hidden_states)), self.layer_idx)
        key, value = (part.repeat_interleave(self.num_key_value_groups, 1) for part in (key, value))
        scores = query @ key.transpose(2, 3) * self.scaling + attention_mask
        if kb_kvs is not None and self.layer_idx % kb_config.kb_layer_frequency == 0:
            blocks, index = 1 + self.config.num_hidden_layers // kb_config.kb_layer_frequency, self.layer_idx
            index //= kb_config.kb_layer_frequency
            rows_key, rows_value = (split(part.unflatten(-1, (blocks, -1))[None, :, index]) for part in kb_kvs)
            of_rows = split(self.q_proj_new(hidden_states)) @ rows_key.transpose(2, 3) * self.scaling
            shift = math.log(kb_config.kb_scale_factor) - math.log(rows_key.shape[2])
            scores, value = torch.cat([of_rows + shift, scores], -1), torch.cat([rows_value, value], 2)
        output = scores.softmax(-1, dtype=torch.float32).to(value.dtype) @ value
        return self.o_proj(output.transpose(1, 2).flatten(2)), None


class LlamaModel(transformers.LlamaModel):
    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for index, layer in enumerate(self.layers):
            layer.self_attn = Attention(config, index)

    def forward(
        self, input_ids: Tensor, kb_kvs: Any = None, kb_config: KBLaMConfig | None = None, **options: Any
    ) -> Any:
        return super().forward(input_ids, kb_kvs=kb_kvs, kb_config=kb_config, **options)
