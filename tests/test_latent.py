from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kblam.attention import built, latent
from kblam.attention.built import build, layer_attention
from kblam.attention.latent import (
    LatentParts,
    Latents,
    Projections,
    knowledge_attention,
    latent_attention,
    latent_scores,
    materialised_attention,
    row_statistics,
)
from kblam.attention.merge import context_attention, merge
from kblam.attention.reference import knowledge_keys, rectangular_attention
from kblam.attention.retrieval import mean_head_scores
from kblam.attention.topk import gather, gather_rows, select

Form = Callable[..., tuple[Tensor, Tensor]]


def kept_attention(
    query: Tensor, latents: Latents, projections: Projections, **options: object
) -> tuple[Tensor, Tensor]:
    """Attention to rows whose keys and values are kept, in pieces."""
    middle = len(latents) // 2
    pieces = LatentParts([latents.block(0, middle), latents.block(middle, len(latents))])
    kept = latents if latents.keys.dim() == 3 or middle == 0 else LatentParts(build(pieces, [projections, projections]))
    return layer_attention(query, kept, projections, 1, **options)  # type: ignore[arg-type]


FORMS = [latent_attention, materialised_attention, knowledge_attention, kept_attention]
LAYERS, EPS = 3, 1e-5


@pytest.fixture(autouse=True)
def kept_keys_are_used_for_few_tokens_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(built, "ENOUGH_TOKENS", 1)


class Case:
    """Random weights of three layers and rows for them; this layer is the second."""

    def __init__(
        self,
        rows: int,
        batch: int = 2,
        heads: int = 4,
        tokens: int = 3,
        width: int = 5,
        head_dim: int = 6,
        value_dim: int = 4,
    ) -> None:
        torch.manual_seed(rows)
        options = {"dtype": torch.float64}
        self.embeddings = torch.randn(rows, width, **options), torch.randn(rows, width, **options)
        self.key_weight = torch.randn(LAYERS * heads * head_dim, width, **options)
        self.key_bias = torch.randn(LAYERS * heads * head_dim, **options)
        self.value_weight = torch.randn(heads, value_dim, width, **options)
        self.value_bias = torch.randn(heads, value_dim, **options)
        self.query = torch.randn(batch, heads, tokens, head_dim, **options)
        self.bias = torch.randn(batch, 1, 1, rows, **options)
        self.shape = heads, head_dim

    @property
    def leaves(self) -> list[Tensor]:
        weights = [self.key_weight, self.key_bias, self.value_weight, self.value_bias]
        return [self.query, self.bias, *weights, *self.embeddings]

    def latents(self) -> Latents:
        return Latents(*self.embeddings, *row_statistics(self.embeddings[0], self.key_weight, self.key_bias, EPS))

    def projections(self) -> Projections:
        heads, head_dim = self.shape
        block = slice(heads * head_dim, 2 * heads * head_dim)
        key_weight = self.key_weight[block].view(heads, head_dim, -1)
        return Projections(key_weight, self.key_bias[block].view(heads, head_dim), self.value_weight, self.value_bias)

    def keys(self) -> Tensor:
        heads, head_dim = self.shape
        keys = knowledge_keys(self.embeddings[0], self.key_weight, self.key_bias, EPS)
        return keys.view(-1, LAYERS, heads, head_dim)[:, 1].transpose(0, 1)[None]

    def values(self) -> Tensor:
        return (torch.einsum("mw,hvw->hmv", self.embeddings[1], self.value_weight) + self.value_bias[:, None])[None]

    def wanted(
        self, bias: Tensor | None, visible: Tensor | None = None, soft_cap: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Output and log-sum-exp in float64, everything built."""
        scores = self.query @ self.keys().transpose(-1, -2) * 0.3
        scores = scores if soft_cap is None else soft_cap * torch.tanh(scores / soft_cap)
        scores = scores if bias is None else scores + bias
        output, log_sum_exp = scores.softmax(-1) @ self.values(), scores.logsumexp(-1)
        if visible is not None:
            output = output * visible[:, None, :, None]
            log_sum_exp = log_sum_exp.masked_fill(~visible[:, None], -torch.inf)
        return output, log_sum_exp


def close(left: Tensor, right: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(left, right, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("rows", [2, 9])
def test_statistics_are_those_of_the_built_keys(rows: int) -> None:
    case = Case(rows)
    raw = case.embeddings[0] @ case.key_weight.T + case.key_bias
    mean, inverse = row_statistics(case.embeddings[0], case.key_weight, case.key_bias, EPS)
    close(mean, raw.mean(1))
    close(inverse, (raw.var(1, unbiased=False) + EPS).rsqrt())


def test_statistics_of_a_constant_row_stay_finite() -> None:
    weight, bias = torch.zeros(8, 3), torch.full((8,), 2.5)
    mean, inverse = row_statistics(torch.randn(4, 3), weight, bias, EPS)
    torch.testing.assert_close(mean, torch.full((4,), 2.5))
    torch.testing.assert_close(inverse, torch.full((4,), EPS**-0.5))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [1, 2, 13])
@pytest.mark.parametrize("soft_cap", [None, 1.3])
def test_forms_are_the_reference(form: Form, rows: int, soft_cap: float | None) -> None:
    case = Case(rows)
    visible = torch.tensor([[False, True, True], [True, True, True]])
    for bias in (None, case.bias, case.bias[:1]):
        result = form(
            case.query, case.latents(), case.projections(), scaling=0.3, bias=bias, visible=visible, soft_cap=soft_cap
        )
        for ours, theirs in zip(result, case.wanted(bias, visible, soft_cap), strict=True):
            close(ours, theirs)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [None, 100.0])
def test_merged_with_context_it_is_rectangular_attention(form: Form, scale: float | None) -> None:
    case = Case(rows=7)
    key, value = torch.randn(2, 2, 5, 6, dtype=torch.float64), torch.randn(2, 2, 5, 4, dtype=torch.float64)
    context_query = torch.randn_like(case.query)
    bias = None if scale is None else torch.full((1, 1, 1, 7), scale / 7, dtype=torch.float64).log()
    knowledge = form(case.query, case.latents(), case.projections(), scaling=0.3, bias=bias)
    context = context_attention(context_query, key, value, scaling=0.3)
    output, _ = merge([knowledge[0], context[0]], [knowledge[1], context[1]])
    row_bias = None if bias is None else bias.float()
    wanted, _ = rectangular_attention(
        context_query, key, value, case.query, case.keys(), case.values(), scaling=0.3, knowledge_bias=row_bias
    )
    torch.testing.assert_close(output.float(), wanted, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("soft_cap", [None, 1.3])
def test_gradients_are_those_of_the_reference(form: Form, soft_cap: float | None) -> None:
    case = Case(rows=6)
    for leaf in case.leaves:
        leaf.requires_grad_()
    direction = torch.randn(2, 4, 3, 4, dtype=torch.float64)

    def gradients(result: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad((result[0] * direction).sum() + result[1].square().sum(), case.leaves)

    options = {"scaling": 0.3, "bias": case.bias, "soft_cap": soft_cap}
    ours = gradients(form(case.query, case.latents(), case.projections(), **options))
    for left, right in zip(ours, gradients(case.wanted(case.bias, None, soft_cap)), strict=True):
        close(left, right, 1e-10)


@pytest.mark.parametrize("form", FORMS)
def test_no_rows_and_hidden_rows_give_zero_and_no_nan(form: Form) -> None:
    empty = Case(rows=0)
    output, log_sum_exp = form(empty.query, empty.latents(), empty.projections(), scaling=0.3)
    assert output.shape == (2, 4, 3, 4)
    assert output.abs().max() == 0
    assert (log_sum_exp == -torch.inf).all()

    case = Case(rows=5)
    for leaf in case.leaves:
        leaf.requires_grad_()
    hidden = torch.zeros(2, 1, 1, 5, dtype=torch.float64)
    hidden[0] = -torch.inf
    hidden[1, ..., 2] = -torch.inf
    output, log_sum_exp = form(case.query, case.latents(), case.projections(), scaling=0.3, bias=case.bias + hidden)
    assert output[0].abs().max() == 0
    assert (log_sum_exp[0] == -torch.inf).all()
    wanted, _ = case.wanted(case.bias + hidden)
    close(output[1], wanted[1])
    merged, total = merge([output, torch.ones_like(output)], [log_sum_exp, torch.zeros_like(log_sum_exp)])
    (merged.square().sum() + total.sum()).backward()
    assert all(leaf.grad is not None and leaf.grad.isfinite().all() for leaf in case.leaves)
    assert case.query.grad is not None
    assert case.query.grad[0].abs().max() == 0


@pytest.mark.parametrize("form", FORMS)
def test_rows_of_its_own_for_each_batch_element(form: Form) -> None:
    case = Case(rows=9)
    indices = torch.tensor([[8, 0, 3], [1, 1, 7]])
    bias = gather_rows(case.bias[:, 0, 0], indices)[:, None, None]
    output, _ = form(case.query, gather(case.latents(), indices), case.projections(), scaling=0.3, bias=bias)
    for element in range(2):
        chosen = indices[element]
        one = Latents(
            *(tensor[chosen] for tensor in (case.latents().keys, case.latents().values)),
            *(tensor[chosen] for tensor in (case.latents().mean, case.latents().inverse_deviation)),
        )
        alone, _ = form(
            case.query[element : element + 1], one, case.projections(), scaling=0.3, bias=bias[element : element + 1]
        )
        close(output[element], alone[0])


def test_scores_and_their_mean_over_heads() -> None:
    case = Case(rows=8)
    scores = latent_scores(case.query, case.latents(), case.projections(), scaling=0.3, bias=case.bias)
    close(scores, case.query @ case.keys().transpose(-1, -2) * 0.3 + case.bias)
    mean = mean_head_scores(case.query[:, :, 1], case.latents(), case.projections(), scaling=0.3)
    close(mean, (scores - case.bias)[:, :, 1].mean(1))


@pytest.mark.parametrize(("tokens", "rows"), [(1, 40), (30, 7)])
def test_blocks_of_rows_are_the_whole(monkeypatch: pytest.MonkeyPatch, tokens: int, rows: int) -> None:
    case = Case(rows, tokens=tokens)
    whole = knowledge_attention(case.query, case.latents(), case.projections(), scaling=0.3, bias=case.bias)
    monkeypatch.setattr(latent, "_LARGEST", 100)
    blocks = knowledge_attention(case.query, case.latents(), case.projections(), scaling=0.3, bias=case.bias)
    for left, right in zip(blocks, whole, strict=True):
        close(left, right)
    for left, right in zip(whole, case.wanted(case.bias), strict=True):
        close(left, right)


def test_few_queries_never_build_keys_and_many_do() -> None:
    many_rows, many_queries = Case(rows=50, tokens=1, batch=1, width=16), Case(rows=5, tokens=40, width=64)
    assert latent._plan(many_rows.query, many_rows.latents())[0] is latent_attention
    assert latent._plan(many_queries.query, many_queries.latents())[0] is materialised_attention


@torch.no_grad()
def test_kept_keys_serve_prompts_and_latents_single_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    case, calls = Case(rows=9), []
    monkeypatch.setattr(built, "ENOUGH_TOKENS", 3)
    attention = built.knowledge_attention
    monkeypatch.setattr(
        built, "knowledge_attention", lambda *given, **options: calls.append(1) or attention(*given, **options)
    )
    kept_attention(case.query, case.latents(), case.projections(), scaling=0.3)
    assert calls == []
    kept_attention(case.query[:, :, :2], case.latents(), case.projections(), scaling=0.3)
    assert calls == [1]
    parts = LatentParts(build(case.latents(), [case.projections()])).parts
    assert build(LatentParts([*parts, case.latents()]), [case.projections()])[0] is parts[0], "built once"


def test_one_number_for_all_rows_moves_the_sum_only(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(9, tokens=4)
    given: list[Tensor | None] = []
    attention = built.knowledge_attention
    monkeypatch.setattr(
        built,
        "knowledge_attention",
        lambda *tensors, **options: given.append(options["bias"]) or attention(*tensors, **options),
    )
    parts = case.query, case.latents(), case.projections(), 1
    bias = torch.full((1, 1), -2.5, dtype=torch.float64)[:, None, None].expand(-1, -1, -1, 9)
    output, log_sum_exp = layer_attention(*parts, scaling=0.3, bias=bias, soft_cap=1.3)
    wanted = case.wanted(bias, soft_cap=1.3)
    close(output, wanted[0])
    close(log_sum_exp, wanted[1])
    assert given == [None]


def test_half_precision_rows_are_read_in_the_queries_precision() -> None:
    case = Case(rows=6)
    exact = case.latents()
    half = Latents(exact.keys.half(), exact.values.half(), exact.mean.float(), exact.inverse_deviation.float())
    weights = (
        getattr(case.projections(), name).float() for name in ("key_weight", "key_bias", "value_weight", "value_bias")
    )
    projections = Projections(*weights)
    for form in FORMS:
        output, _ = form(case.query.float(), half, projections, scaling=0.3)
        assert output.dtype == torch.float32
        torch.testing.assert_close(output.double(), case.wanted(None)[0], atol=2e-2, rtol=0)


def test_select_takes_the_best_rows_and_everything_when_k_is_large() -> None:
    scores = torch.tensor([[0.1, 3.0, -1.0, 2.0], [5.0, 1.0, 2.0, -torch.inf]])
    assert select(scores, 2).tolist() == [[1, 3], [0, 2]]
    assert select(scores, 4).tolist() == [[0, 1, 2, 3]] * 2
    assert select(scores, 99).tolist() == [[0, 1, 2, 3]] * 2
    assert select(scores[:, :0], 5).shape == (2, 0)


def test_gather_takes_everything_of_a_row_together() -> None:
    marks = torch.arange(5.0)
    latents = Latents(marks[:, None].expand(5, 3), marks[:, None].expand(5, 3) * 10, marks * 100, marks * 1000)
    chosen = gather(latents, torch.tensor([[4, 0], [2, 2]]))
    assert len(chosen) == 2
    assert chosen.keys[..., 0].tolist() == [[4, 0], [2, 2]]
    assert chosen.values[..., 0].tolist() == [[40, 0], [20, 20]]
    assert chosen.mean.tolist() == [[400, 0], [200, 200]]
    assert chosen.inverse_deviation.tolist() == [[4000, 0], [2000, 2000]]
