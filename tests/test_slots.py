from __future__ import annotations

import pytest
import torch
from reference_model import reference_attention
from tiny_models import IDS, KEYS, MASK, TOKENS, VALUES, attend, close, tiny_adapter, tiny_model

from kblam.errors import ModelError
from kblam.models.active import ActiveKnowledge, Recorder
from kblam.models.adapter import Adapter
from kblam.models.inject import inject
from kblam.models.slots import NO_TOKEN, SlotTokens, slot_tokens

CHOSEN = torch.tensor([[4, 1, 7], [0, 2, 12], [5, 6, 3]])
SHARES = torch.tensor([[0.7, 0.2, 0.05], [0.5, 0.3, 0.1], [0.9, 0.01, 0.001]])
SPOKEN = [[[5, 6, 7, 2], [9, 10, 2]], [[3, 3, 3, 3, 2], [8, 2]], [[1, 4, 2], [11, 12, 13, 2]]]
"""Tokens of the values of each question's first two rows."""


def padded(rows: list[list[list[int]]]) -> SlotTokens:
    tokens = torch.full((3, 2, 5), NO_TOKEN)
    for question, values in enumerate(rows):
        for row, value in enumerate(values):
            tokens[question, row, : len(value)] = torch.tensor(value)
    return SlotTokens(tokens, SHARES[:, :2])


@pytest.mark.parametrize("name", ["Llama", "Phi3", "Qwen3", "Gemma3", "GPTNeoX"])
@pytest.mark.parametrize("slot_layers", [(1, 2), (2,)])
@torch.no_grad()
def test_slots_are_the_references(name: str, slot_layers: tuple[int, ...]) -> None:
    model = tiny_model(name)
    adapter = tiny_adapter(model, slot_layers=slot_layers)
    ours = attend(model, adapter, selected=CHOSEN, shares=SHARES, slots=padded(SPOKEN))
    given = {"chosen": CHOSEN, "shares": SHARES}
    with reference_attention(model, adapter, KEYS, VALUES, None, MASK, slots=SPOKEN, **given):
        wanted = model(IDS, attention_mask=MASK).logits
    close(ours[TOKENS], wanted[TOKENS])
    without = attend(model, adapter, selected=CHOSEN, shares=SHARES)
    with reference_attention(model, adapter, KEYS, VALUES, None, MASK, **given):
        wanted = model(IDS, attention_mask=MASK).logits
    close(without[TOKENS], wanted[TOKENS])
    assert (ours - without)[TOKENS].abs().max() > 0.01


@torch.no_grad()
def test_a_row_with_no_share_says_nothing() -> None:
    model = tiny_model()
    adapter = tiny_adapter(model, slot_layers=(1, 2))
    adapter.value_slots.sharpness.fill_(1.0)  # type: ignore[union-attr]
    slots = padded(SPOKEN)
    one = SlotTokens(slots.tokens, torch.tensor([[1.0, 0.0]] * 3))
    changed = slots.tokens.clone()
    changed[:, 1, 0] = 14
    other = SlotTokens(changed, one.share)
    given = {"selected": CHOSEN, "shares": SHARES}
    close(attend(model, adapter, slots=one, **given)[TOKENS], attend(model, adapter, slots=other, **given)[TOKENS])
    alive = SlotTokens(changed, slots.share)
    assert (
        attend(model, adapter, slots=alive, **given) - attend(model, adapter, slots=slots, **given)
    ).abs().max() > 1e-3


@torch.no_grad()
def test_generation_with_cache_is_generation_without() -> None:
    model = tiny_model()
    adapter = tiny_adapter(model, slot_layers=(1, 2))
    injection = inject(model, adapter)
    knowledge = ActiveKnowledge(adapter.latents(KEYS, VALUES), selected=CHOSEN, shares=SHARES, slots=padded(SPOKEN))
    said = []
    for use_cache, beams in ((True, 1), (False, 1), (True, 2), (False, 2)):
        with injection.attend(knowledge):
            options = {"use_cache": use_cache, "num_beams": beams, "do_sample": False, "max_new_tokens": 6}
            said.append(model.generate(IDS, attention_mask=MASK, pad_token_id=0, **options))
    assert torch.equal(said[0], said[1]) and torch.equal(said[2], said[3])


def test_gradients_reach_every_map() -> None:
    model = tiny_model()
    adapter = tiny_adapter(model, slot_layers=(1, 2))
    assert adapter.value_slots is not None
    adapter.value_slots.requires_grad_(True)
    attend(model, adapter, selected=CHOSEN, shares=SHARES, slots=padded(SPOKEN))[TOKENS].square().sum().backward()
    for name, parameter in adapter.value_slots.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


def test_slots_survive_saving(tmp_path: object) -> None:
    adapter = tiny_adapter(tiny_model(), slot_layers=(2,), slot_rows=3)
    adapter.save(str(tmp_path))
    again = Adapter.load(str(tmp_path))
    assert again.config == adapter.config
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in adapter.state_dict().items())


def test_slot_layers_are_knowledge_layers() -> None:
    with pytest.raises(ModelError, match="slot_layers"):
        tiny_adapter(tiny_model(), slot_layers=(0,))


class _Letters:
    """A tokenizer of one token a letter."""

    eos_token_id = 2

    def __call__(self, texts: list[str], add_special_tokens: bool) -> dict[str, list[list[int]]]:
        return {"input_ids": [[ord(letter) for letter in text] for text in texts]}


def test_values_become_tokens_with_an_end() -> None:
    share = torch.tensor([[0.6, 0.4]])
    slots = slot_tokens(_Letters(), [["ab", "北京市"]], share, most=4)  # type: ignore[arg-type]
    blank = ord(" ")
    assert slots.tokens.tolist() == [[[blank, ord("a"), ord("b"), 2], [blank, ord("北"), ord("京"), ord("市")]]]
    assert torch.equal(slots.share, share)


@torch.no_grad()
def test_the_retrieval_layer_weighs_and_cuts_the_rows_it_chooses() -> None:
    model = tiny_model()
    adapter = tiny_adapter(model, slot_layers=(1, 2), retrieval_layer=1, slot_rows=2)
    tokens = torch.randint(3, 20, (len(KEYS), 4), generator=torch.Generator().manual_seed(0))
    recorder = Recorder()
    ours = attend(model, adapter, tokens=tokens, top_k=3, recorder=recorder)
    seen = recorder.retrieval
    assert seen is not None and seen.indices is not None
    shares = seen.weights().gather(1, seen.indices)
    slots = SlotTokens(tokens[seen.indices[:, :2]], shares[:, :2])
    again = attend(model, adapter, question=None, selected=seen.indices, shares=shares, slots=slots)
    close(ours[TOKENS], again[TOKENS])
