"""Low-rank query heads: the same as the whole matrix that they stand for, in every architecture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_models import ARCHITECTURES, IDS, KEYS, MASK, QUESTIONS, VALUES, tiny_adapter, tiny_model

from kblam.errors import ModelError
from kblam.models.active import ActiveKnowledge
from kblam.models.adapter import Adapter
from kblam.models.anatomy import attention_sites, query_projection
from kblam.models.inject import inject


def whole(model: object, adapter: Adapter) -> Adapter:
    """The adapter with a matrix in each layer in place of the update."""
    low, config = adapter.low_rank_query, adapter.config
    assert low is not None
    other = Adapter(replace(config, query_rank=0)).requires_grad_(False)
    other.load_state_dict(adapter.state_dict(), strict=False)
    assert other.query_weight is not None
    for slot, site in enumerate(attention_sites(model, config.knowledge_layers).values()):  # type: ignore[arg-type]
        other.query_weight[slot] = low.scale[slot] * query_projection(site)[0] + low.up[slot] @ low.down[slot]
    return other


def logits(name: str, adapter: Adapter) -> torch.Tensor:
    model = tiny_model(name)
    injection = inject(model, adapter)
    with torch.no_grad(), injection.attend(ActiveKnowledge(adapter.latents(KEYS, VALUES), QUESTIONS)):
        attended: torch.Tensor = model(IDS, attention_mask=MASK).logits
    return attended


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_low_rank_query_is_that_of_the_whole_matrix(name: str) -> None:
    adapter = tiny_adapter(tiny_model(name), query_rank=3)
    assert adapter.query_weight is None and adapter.low_rank_query is not None
    expected = logits(name, whole(tiny_model(name), adapter))
    torch.testing.assert_close(logits(name, adapter), expected, rtol=1e-4, atol=1e-5)
    adapter.low_rank_query.up.zero_()
    assert not torch.allclose(logits(name, adapter), expected, atol=1e-4), "the update counts"


def test_a_new_one_is_the_models_own_query_and_can_be_scaled() -> None:
    model = tiny_model()
    config = tiny_adapter(model, query_rank=2).config
    new, full = Adapter.for_model(model, config), Adapter.for_model(model, replace(config, query_rank=0))
    full.load_state_dict(new.state_dict(), strict=False)
    for adapter in (new, full):
        adapter.requires_grad_(False).scale_query(0.5, [1])
    torch.testing.assert_close(logits("Llama", new), logits("Llama", full))


def test_the_gradient_reaches_the_update_and_not_the_base() -> None:
    model = tiny_model()
    adapter = tiny_adapter(model, query_rank=2)
    assert adapter.low_rank_query is not None
    adapter.low_rank_query.requires_grad_(True)
    model.requires_grad_(False)
    with inject(model, adapter).attend(ActiveKnowledge(adapter.latents(KEYS, VALUES), QUESTIONS)):
        model(IDS, attention_mask=MASK).logits.square().sum().backward()
    assert all(
        tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in adapter.low_rank_query.parameters()
    )
    assert all(tensor.grad is None for tensor in model.parameters())


def test_it_is_saved_and_read_and_is_small(tmp_path: Path) -> None:
    model = tiny_model()
    adapter = tiny_adapter(model, query_rank=2)
    adapter.save(tmp_path)
    again = Adapter.load(tmp_path)
    assert again.config.query_rank == 2
    assert torch.equal(logits("Llama", again), logits("Llama", adapter))
    low, full = (sum(tensor.numel() for tensor in each.parameters()) for each in (adapter, whole(model, adapter)))
    outputs, hidden = adapter.config.heads * adapter.config.head_dim, adapter.config.hidden_size
    assert full - low == 2 * (outputs * hidden - 2 * (outputs + hidden) - 1)


def test_a_rank_is_a_whole_number() -> None:
    config = tiny_adapter(tiny_model()).config
    with pytest.raises(ModelError, match="query_rank must be"):
        replace(config, query_rank=-1)
