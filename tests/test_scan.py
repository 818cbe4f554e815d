"""Scans in blocks, in low precision and over rows in pieces, against one product in full precision."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from kblam.attention import latent, scan
from kblam.attention.latent import LatentParts, Latents, Projections, knowledge_attention, latent_scores
from kblam.attention.retrieval import mean_head_scores, similarities
from kblam.attention.scan import coarse_products, norms, products, quantise
from kblam.attention.topk import gather

WIDTH = 16


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "ROWS_AT_ONCE", 8)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rows_of(count: int, dtype: torch.dtype = torch.float32) -> Latents:
    keys, values = normal(count, WIDTH, seed=1).to(dtype), normal(count, WIDTH, seed=2).to(dtype)
    return Latents(keys, values, normal(count, seed=3), normal(count, seed=4).exp())


def in_parts(latents: Latents, *cuts: int) -> LatentParts:
    edges = [0, *cuts, len(latents)]
    return LatentParts([latents.block(*edge) for edge in pairwise(edges)])


def maps(heads: int = 3, width: int = 5) -> Projections:
    weights = normal(heads, width, WIDTH, seed=5), normal(heads, width, seed=6)
    return Projections(*weights, normal(heads, width, WIDTH, seed=7), normal(heads, width, seed=8))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 30])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_products_are_summed_in_float32_whatever_the_rows_are(count: int, dtype: torch.dtype) -> None:
    rows, queries = normal(count, WIDTH).to(dtype), normal(3, WIDTH, seed=9)
    found = products(queries, rows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, queries @ rows.float().T)
    assert norms(rows).dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(norms(rows).double(), rows.double().square().sum(-1).sqrt())


def test_products_give_gradients() -> None:
    rows, queries = normal(20, WIDTH).half(), normal(2, WIDTH).requires_grad_()
    products(queries, rows).sum().backward()
    assert queries.grad is not None
    torch.testing.assert_close(queries.grad, rows.float().sum(0).expand(2, -1))


def test_no_block_is_larger_than_the_cache_and_rows_are_never_copied_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[int] = []
    to = Tensor.to

    def noting(self: Tensor, *given: object, **options: object) -> Tensor:
        result = to(self, *given, **options)  # type: ignore[call-overload]
        if result is not self:
            copied.append(self.numel())
        return result

    latents, projections = rows_of(100, torch.float16), maps()
    monkeypatch.setattr(Tensor, "to", noting)
    products(normal(2, WIDTH), latents.keys)
    mean_head_scores(normal(2, 3, 5), latents, projections, scaling=0.3)
    knowledge_attention(normal(2, 3, 1, 5), latents, projections, scaling=0.3)
    assert copied and max(copied) <= 8 * WIDTH


@pytest.mark.parametrize("count", [1, 8, 30])
def test_eight_bits_are_within_a_hundredth(count: int) -> None:
    rows, queries = normal(count, WIDTH).half(), normal(3, WIDTH, seed=9)
    rows[0] = 0
    coarse = quantise(rows)
    assert coarse.codes.dtype == torch.int8 and coarse.codes.shape == (count, WIDTH)
    torch.testing.assert_close(coarse.codes * coarse.scale[:, None], rows.float(), atol=0.02, rtol=0)
    found, wanted = coarse_products(queries, coarse), queries @ rows.float().T
    lengths = queries.norm(dim=-1, keepdim=True) * rows.float().norm(dim=-1)
    assert ((found - wanted).abs() <= 0.01 * lengths + 1e-6).all()


@pytest.mark.parametrize("cuts", [(), (1,), (9, 10, 29)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_rows_in_parts_are_the_rows(cuts: tuple[int, ...], dtype: torch.dtype) -> None:
    whole, projections = rows_of(30, dtype), maps()
    parts = in_parts(whole, *cuts)
    assert len(parts) == 30 and all(
        torch.equal(getattr(parts, name), getattr(whole, name))
        for name in ("keys", "values", "mean", "inverse_deviation", "key_norms", "value_norms")
    )
    query, bias = normal(2, 3, 4, 5), normal(2, 1, 1, 30)
    options = {"scaling": 0.3, "bias": bias}
    for form in (latent_scores, knowledge_attention, latent.materialised_attention):
        for left, right in zip(
            form(query, parts, projections, **options), form(query, whole, projections, **options), strict=True
        ):
            torch.testing.assert_close(left, right, atol=1e-5, rtol=1e-5)
    for left, right in zip(
        similarities(normal(2, WIDTH), normal(2, WIDTH, seed=4), parts),
        similarities(normal(2, WIDTH), normal(2, WIDTH, seed=4), whole),
        strict=True,
    ):
        torch.testing.assert_close(left, right)
    indices = torch.tensor([[29, 0, 9], [10, 10, 1]])
    for left, right in ((gather(parts, indices), gather(whole, indices)),):
        assert torch.equal(left.keys, right.keys) and torch.equal(left.values, right.values)
        assert torch.equal(left.mean, right.mean) and torch.equal(left.inverse_deviation, right.inverse_deviation)
    block = parts.block(8, 11)
    assert torch.equal(block.keys, whole.keys[8:11]) and len(parts.block(5, 5)) == 0


def test_chosen_rows_are_compared_in_full_precision() -> None:
    latents = rows_of(30).quantised()
    assert latents.quantised() is latents and in_parts(latents, 7).coarse is not None
    indices = torch.tensor([[3, 4], [29, 0]])
    chosen = gather(latents, indices)
    assert chosen.coarse is None
    queries = normal(2, WIDTH), normal(2, WIDTH, seed=4)
    found = similarities(*queries, chosen)
    wanted = similarities(*queries, rows_of(30))
    for left, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(left, right.gather(1, indices))


@pytest.mark.parametrize("tokens", [1, 40])
def test_bfloat16_keeps_its_sums_in_float32(tokens: int) -> None:
    whole, projections, query = rows_of(500), maps(), normal(1, 3, tokens, 5)
    wanted, wanted_sum = knowledge_attention(query, whole, projections, scaling=0.3)
    half = Latents(whole.keys.bfloat16(), whole.values.bfloat16(), whole.mean, whole.inverse_deviation)
    low = Projections(*(getattr(projections, name).bfloat16() for name in Projections.__dataclass_fields__))
    output, log_sum_exp = knowledge_attention(query.bfloat16(), half, low, scaling=0.3)
    assert output.dtype == log_sum_exp.dtype == torch.float32
    torch.testing.assert_close(log_sum_exp, wanted_sum, atol=0.1, rtol=0.01)
    assert (output - wanted).norm() < 0.05 * wanted.norm()


@pytest.mark.parametrize("tokens", [1, 7, 400])
def test_streaming_is_the_direct_form(tokens: int) -> None:
    whole, projections, query = rows_of(30), maps(), normal(2, 3, tokens, 5).requires_grad_()
    bias = normal(2, 1, 1, 30)
    bias[0, ..., :9] = -torch.inf  # the first block sees nothing at all
    direct = latent.latent_attention(query, whole, projections, scaling=0.3, bias=bias)
    with torch.no_grad():
        streamed = latent.latent_attention(query, whole, projections, scaling=0.3, bias=bias)
    for left, right in zip(streamed, direct, strict=True):
        torch.testing.assert_close(left, right.detach(), atol=1e-4, rtol=1e-4)


def test_a_gpu_reads_more_rows_at_once() -> None:
    assert scan.block_size(torch.device("cuda")) > scan.block_size(torch.device("cpu"))
