"""Tiny random sentence encoders, saved as the sentence-transformers library saves its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertModel, BertTokenizer, DistilBertConfig, DistilBertModel

MEAN = {"word_embedding_dimension": 16, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
CLS = {"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}


def sentence_folder(
    folder: Path,
    modules: list[str],
    pooling: dict[str, Any],
    settings: dict[str, Any] | None = None,
    kind: str = "bert",
) -> Path:
    """Make a tiny random model in the folder layout of sentence-transformers."""
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "capital", "of", "The", "query", ":", "mongolia"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizer(str(folder / "vocab.txt"), do_lower_case=False).save_pretrained(folder)
    if kind == "bert":
        small = BertConfig(
            vocab_size=12, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
            max_position_embeddings=32,
        )  # fmt: skip
        BertModel(small).save_pretrained(folder)
    else:
        DistilBertModel(
            DistilBertConfig(vocab_size=12, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=32)
        ).save_pretrained(folder)
    parts = []
    for index, name in enumerate(modules):
        path = "" if index == 0 else f"{index}_{name}"
        (folder / path).mkdir(exist_ok=True)
        parts.append({"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{name}"})
    (folder / "modules.json").write_text(json.dumps(parts), encoding="utf-8")
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")
    (folder / "sentence_bert_config.json").write_text(json.dumps(settings or {}), encoding="utf-8")
    return folder
