"""Value slots begin as copying heads: they look behind the token just read, and say the token that they hold."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_models import VOCABULARY, prompts, tiny_adapter, tiny_model
from torch import Tensor
from transformers import OPTConfig, OPTForCausalLM

from kblam.models.adapter import Adapter
from kblam.models.anatomy import apply_query_norm, attention_sites, output_projection
from kblam.models.slots import unit_rms
from kblam.training.losses import TextBatch
from kblam.training.slot_start import MATCHED, start_slots

EXAMPLES = 20


def reading_model(name: str = "Llama") -> Any:
    """A tiny model whose layers add less to the stream than the token just read, as trained ones do."""
    model = tiny_model(name)
    model.get_input_embeddings().weight.data.mul_(20)
    return model


def batches() -> list[TextBatch]:
    found = []
    for seed in range(EXAMPLES):
        ids, mask = prompts(batch=8, tokens=20, seed=100 + seed)
        found.append(TextBatch(ids, mask, torch.full_like(ids, -100), mask.sum(-1) - 1))
    return found


def started(model: Any) -> Adapter:
    adapter = tiny_adapter(model, slot_layers=(1, 2))
    start_slots(adapter, model, batches())
    return adapter


@torch.no_grad()
def entering(model: Any, layer: int, ids: Tensor, mask: Tensor) -> Tensor:
    given: dict[str, Tensor] = {}

    def note(module: Any, args: Any, kwargs: Any) -> None:
        given["states"] = args[0] if args else kwargs["hidden_states"]

    hook = attention_sites(model, [layer])[layer].module.register_forward_pre_hook(note, with_kwargs=True)
    model(ids, attention_mask=mask)
    hook.remove()
    return given["states"]


@pytest.mark.parametrize("name", ["Llama", "Phi3", "Qwen3", "Gemma3", "Olmo2", "GPTNeoX"])
@torch.no_grad()
def test_a_slot_is_found_behind_the_token_just_read(name: str) -> None:
    model = reading_model(name)
    adapter = started(model)
    maps, table = adapter.value_slots, model.get_input_embeddings().weight
    assert maps is not None
    ids, mask = prompts(batch=8, tokens=20, seed=77)
    kept = (mask.cumsum(-1) > 1).flatten()
    for index, layer in enumerate((1, 2)):
        site = attention_sites(model, [layer])[layer]
        asked = apply_query_norm(site.module, maps.query(index, entering(model, layer, ids, mask)), site.heads)
        held = (unit_rms(table) @ maps.key_weight[index, :, : table.shape[1]].T).unflatten(-1, (site.heads, -1))
        scores = torch.einsum("bthd,vhd->btv", asked, held).flatten(0, 1)[kept] * site.scaling / site.heads
        read = ids.flatten()[kept]
        assert (scores.argmax(-1) == read).float().mean() > 0.8
        above = scores.gather(1, read[:, None])[:, 0] - scores.mean(-1)
        assert above.mean() == pytest.approx(MATCHED, rel=0.35)


@pytest.mark.parametrize(("tied", "enough"), [(True, 0.95), (False, 0.5)])
@torch.no_grad()
def test_what_a_slot_holds_is_what_it_says(tied: bool, enough: float) -> None:
    model = tiny_model()
    if tied:
        model.lm_head.weight = model.get_input_embeddings().weight
    adapter = started(model)
    maps, table = adapter.value_slots, model.get_input_embeddings().weight
    assert maps is not None
    output = output_projection(attention_sites(model, [2])[2])
    assert output is not None
    said = unit_rms(table) @ maps.value_weight[1].T @ output.T @ unit_rms(model.lm_head.weight).T
    assert (said.argmax(-1) == torch.arange(VOCABULARY)).float().mean() > enough


@pytest.mark.parametrize("tied", [True, False])
@torch.no_grad()
def test_embeddings_may_have_a_width_of_their_own(tied: bool) -> None:
    shape = {
        "hidden_size": 32,
        "word_embed_proj_dim": 16,
        "ffn_dim": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
    }
    config = OPTConfig(vocab_size=VOCABULARY, max_position_embeddings=64, tie_word_embeddings=tied, **shape)
    model = OPTForCausalLM(config).eval()
    adapter = tiny_adapter(model, slot_layers=(1, 2), embedding_size=16)
    start_slots(adapter, model, batches())
    maps = adapter.value_slots
    assert maps is not None and maps.key_weight.isfinite().all() and not maps.value_weight.any()


@torch.no_grad()
def test_a_layer_whose_output_is_no_plain_map_begins_by_saying_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kblam.training.slot_start.output_projection", lambda site: None)
    maps = started(tiny_model()).value_slots
    assert maps is not None and not maps.value_weight.any()
