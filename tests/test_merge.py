from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kblam.attention.merge import context_attention, merge
from kblam.attention.reference import rectangular_attention

INF = torch.inf


def parts(groups: int, dtype: torch.dtype = torch.float32, value_width: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    query, key = torch.randn(2, 4, 3, 8, dtype=dtype), torch.randn(2, groups, 11, 8, dtype=dtype)
    return query, key, torch.randn(2, groups, 11, value_width, dtype=dtype)


def plain(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, soft_cap: float | None = None) -> Tensor:
    nothing = key.new_zeros(1, query.shape[1], 0, query.shape[-1])
    empty = value.new_zeros(1, query.shape[1], 0, value.shape[-1])
    return rectangular_attention(
        query, key, value, query, nothing, empty, scaling=0.3, context_mask=mask, soft_cap=soft_cap
    )[0]


def masks() -> dict[str, Tensor | None]:
    torch.manual_seed(2)
    seen = torch.rand(2, 1, 3, 11) > 0.4
    seen[..., 3] = True
    return {"none": None, "boolean": seen, "added": torch.randn(2, 1, 3, 11), "row": torch.randn(1, 1, 1, 11)}


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("groups", [4, 2, 1])
@pytest.mark.parametrize("kind", ["none", "boolean", "added", "row"])
def test_context_attention_is_the_reference(kind: str, groups: int, gradient: bool) -> None:
    query, key, value = parts(groups)
    mask = masks()[kind]
    output, log_sum_exp = context_attention(query.requires_grad_(gradient), key, value, mask, scaling=0.3)
    added = mask if mask is None or mask.dtype != torch.bool else torch.zeros(mask.shape).masked_fill(~mask, -INF)
    torch.testing.assert_close(output, plain(query, key, value, added), atol=1e-6, rtol=1e-5)
    scores = query @ key.repeat_interleave(4 // groups, 1).transpose(-1, -2) * 0.3
    torch.testing.assert_close(log_sum_exp, (scores if added is None else scores + added).logsumexp(-1))


@pytest.mark.parametrize("gradient", [False, True])
def test_causal_context(gradient: bool) -> None:
    query, key, value = parts(2)
    key, value = key[:, :, :3], value[:, :, :3]
    above = torch.full((3, 3), -INF).triu(1)[None, None]
    output, _ = context_attention(query.requires_grad_(gradient), key, value, scaling=0.3, causal=True)
    torch.testing.assert_close(output, plain(query, key, value, above))


@pytest.mark.parametrize("gradient", [False, True])
def test_one_set_of_keys_for_the_whole_batch(gradient: bool) -> None:
    query, key, value = parts(2)
    shared, _ = context_attention(query.requires_grad_(gradient), key[:1], value[:1], scaling=0.3)
    repeated, _ = context_attention(query, key[:1].repeat(2, 1, 1, 1), value[:1].repeat(2, 1, 1, 1), scaling=0.3)
    torch.testing.assert_close(shared, repeated)


def test_soft_cap_and_values_of_another_width() -> None:
    query, key, value = parts(2, value_width=5)
    output, _ = context_attention(query, key, value, scaling=0.3, soft_cap=0.7)
    torch.testing.assert_close(output, plain(query, key, value, None, soft_cap=0.7))
    assert output.shape == (2, 4, 3, 5)


def test_bfloat16_context_returns_float32_sums() -> None:
    query, key, value = parts(2)
    exact, exact_sum = context_attention(query, key, value, scaling=0.3)
    output, log_sum_exp = context_attention(query.bfloat16(), key.bfloat16(), value.bfloat16(), scaling=0.3)
    assert output.dtype == log_sum_exp.dtype == torch.float32
    torch.testing.assert_close(output, exact, atol=3e-2, rtol=0)
    torch.testing.assert_close(log_sum_exp, exact_sum, atol=3e-2, rtol=0)


@pytest.mark.parametrize("gradient", [False, True])
def test_no_keys_and_rows_that_see_nothing(gradient: bool) -> None:
    query, key, value = parts(2)
    query.requires_grad_(gradient)
    output, log_sum_exp = context_attention(query, key[:, :, :0], value[:, :, :0], scaling=0.3)
    assert output.abs().max() == 0
    assert (log_sum_exp == -INF).all()

    seen = torch.ones(2, 1, 3, 11, dtype=torch.bool)
    seen[1, 0, 2] = False
    output, log_sum_exp = context_attention(query, key, value, seen, scaling=0.3)
    assert output[1, :, 2].abs().max() == 0
    assert (log_sum_exp[1, :, 2] == -INF).all()
    assert log_sum_exp[1, :, :2].isfinite().all()
    if gradient:
        (output.sum() + log_sum_exp[0].sum()).backward()
        assert query.grad is not None
        assert query.grad.isfinite().all()
        assert query.grad[1, :, 2].abs().max() == 0


@pytest.mark.parametrize("cuts", [[11], [1, 10], [4, 4, 3], [1] * 11, [0, 11, 0]])
def test_merged_parts_are_the_whole(cuts: list[int]) -> None:
    query, key, value = parts(2, torch.float64)
    pieces = [
        context_attention(query, k, v, scaling=0.3)
        for k, v in zip(key.split(cuts, 2), value.split(cuts, 2), strict=True)
    ]
    output, log_sum_exp = merge([piece[0] for piece in pieces], [piece[1] for piece in pieces])
    whole, whole_sum = context_attention(query, key, value, scaling=0.3)
    torch.testing.assert_close(output, whole, atol=1e-13, rtol=0)
    torch.testing.assert_close(log_sum_exp, whole_sum, atol=1e-13, rtol=0)


def test_merged_gradients_are_those_of_the_whole() -> None:
    query, key, value = (tensor.requires_grad_() for tensor in parts(2, torch.float64))
    direction = torch.randn(2, 4, 3, 8, dtype=torch.float64)

    def gradients(cuts: list[int]) -> tuple[Tensor, ...]:
        pairs = zip(key.split(cuts, 2), value.split(cuts, 2), strict=True)
        pieces = [context_attention(query, k, v, scaling=0.3) for k, v in pairs]
        output, log_sum_exp = merge([piece[0] for piece in pieces], [piece[1] for piece in pieces])
        return torch.autograd.grad((output * direction).sum() + log_sum_exp.square().sum(), (query, key, value))

    for part, whole in zip(gradients([3, 6, 2]), gradients([11]), strict=True):
        torch.testing.assert_close(part, whole, atol=1e-12, rtol=0)


def test_a_part_without_output_only_takes_weight() -> None:
    query, key, value = parts(2, torch.float64)
    output, log_sum_exp = context_attention(query, key, value, scaling=0.3)
    null = torch.tensor([0.5, -INF, 2.0, 0.0], dtype=torch.float64)[None, :, None]
    merged, total = merge([output, None], [log_sum_exp, null])
    weight = (log_sum_exp - torch.logaddexp(log_sum_exp, null.expand(2, 4, 3)))[..., None].exp()
    torch.testing.assert_close(merged, output * weight)
    torch.testing.assert_close(total, torch.logaddexp(log_sum_exp, null.expand(2, 4, 3)))
    torch.testing.assert_close(merged[:, 1], output[:, 1])


def test_merge_of_nothing_is_zero_with_finite_gradients() -> None:
    outputs = [torch.randn(1, 2, 3, 4).requires_grad_() for _ in range(2)]
    sums = [torch.full((1, 2, 3), -INF).requires_grad_() for _ in range(2)]
    output, log_sum_exp = merge(outputs, sums)
    assert output.abs().max() == 0
    assert (log_sum_exp == -INF).all()
    output.sum().backward()
    assert all(tensor.grad is not None and tensor.grad.isfinite().all() for tensor in outputs + sums)


def test_far_apart_sums_do_not_overflow() -> None:
    small, large = torch.ones(1, 1, 1, 2), 3 * torch.ones(1, 1, 1, 2)
    output, log_sum_exp = merge([small, large], [torch.full((1, 1, 1), -900.0), torch.full((1, 1, 1), 900.0)])
    torch.testing.assert_close(output, large)
    assert log_sum_exp.item() == 900
