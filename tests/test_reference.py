from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kblam.attention.reference import knowledge_keys, rectangular_attention


def one_weight_at_a_time(scores: list[float]) -> list[float]:
    total = sum(math.exp(score) for score in scores)
    return [math.exp(score) / total for score in scores]


def tensors(
    batch: int = 2, heads: int = 4, groups: int = 2, tokens: int = 3, context: int = 5, rows: int = 7
) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return {
        "query": torch.randn(batch, heads, tokens, 6),
        "key": torch.randn(batch, groups, context, 6),
        "value": torch.randn(batch, groups, context, 3),
        "knowledge_query": torch.randn(batch, heads, tokens, 6),
        "knowledge_key": torch.randn(1, heads, rows, 6),
        "knowledge_value": torch.randn(1, heads, rows, 3),
    }


@pytest.mark.parametrize("soft_cap", [None, 1.5])
def test_one_output_by_hand(soft_cap: float | None) -> None:
    given = tensors()
    bias, mask = torch.randn(2, 1, 1, 7), torch.randn(2, 1, 3, 5)
    output, weights = rectangular_attention(
        **given, scaling=0.3, knowledge_bias=bias, context_mask=mask, soft_cap=soft_cap
    )
    batch, head, token, group = 1, 2, 1, 1  # head 2 of 4 reads key group 1 of 2

    def score(query: Tensor, key: Tensor) -> float:
        raw = 0.3 * sum(a * b for a, b in zip(query.tolist(), key.tolist(), strict=True))
        return raw if soft_cap is None else soft_cap * math.tanh(raw / soft_cap)

    knowledge = [
        score(given["knowledge_query"][batch, head, token], given["knowledge_key"][0, head, m]) for m in range(7)
    ]
    context = [score(given["query"][batch, head, token], given["key"][batch, group, s]) for s in range(5)]
    knowledge = [value + float(bias[batch, 0, 0, m]) for m, value in enumerate(knowledge)]
    context = [value + float(mask[batch, 0, token, s]) for s, value in enumerate(context)]
    wanted = one_weight_at_a_time(knowledge + context)
    assert weights[batch, head, token].tolist() == pytest.approx(wanted, abs=1e-6)
    values = torch.cat([given["knowledge_value"][0, head], given["value"][batch, group]])
    by_hand = [sum(w * float(values[i, j]) for i, w in enumerate(wanted)) for j in range(3)]
    assert output[batch, head, token].tolist() == pytest.approx(by_hand, abs=1e-5)


def test_without_rows_it_is_plain_attention() -> None:
    given = tensors(rows=0)
    output, _ = rectangular_attention(**given, scaling=0.4)
    plain = torch.nn.functional.scaled_dot_product_attention(
        given["query"], given["key"], given["value"], scale=0.4, enable_gqa=True
    )
    torch.testing.assert_close(output, plain)


def test_padding_queries_see_no_knowledge() -> None:
    given = tensors()
    visible = torch.tensor([[False, True, True], [True, True, True]])
    output, weights = rectangular_attention(**given, scaling=0.4, visible=visible)
    assert weights[0, :, 0, :7].abs().max() == 0
    assert weights[0, :, 1:, :7].min() > 0
    plain, _ = rectangular_attention(
        **(
            given
            | {"knowledge_key": given["knowledge_key"][:, :, :0], "knowledge_value": given["knowledge_value"][:, :, :0]}
        ),
        scaling=0.4,
    )
    torch.testing.assert_close(output[0, :, 0], plain[0, :, 0])


def test_keys_are_normalised_over_all_layers_together() -> None:
    torch.manual_seed(1)
    embeddings, weight, bias = torch.randn(5, 8), torch.randn(24, 8), torch.randn(24)
    keys = knowledge_keys(embeddings, weight, bias)
    raw = embeddings @ weight.T + bias
    by_hand = (raw - raw.mean(1, keepdim=True)) / (raw.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(keys, by_hand)
    assert keys[:, :8].mean(1).abs().max() > 0.01, "one layer's block alone is not normalised"
