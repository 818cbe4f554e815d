from __future__ import annotations

from typing import Any

import pytest
import torch
from reference_model import reference_attention, reference_similarity
from tiny_models import IDS, KEYS, MASK, QUESTIONS, TOKENS, VALUES, VOCABULARY, attend, close, tiny_adapter, tiny_model
from torch import Tensor

from kblam.attention.latent import LatentParts
from kblam.attention.reference import knowledge_keys
from kblam.errors import ModelError
from kblam.models import active
from kblam.models.active import ActiveKnowledge, AttentionRecord, Recorder
from kblam.models.adapter import Adapter
from kblam.models.batches import fit_batch, visible_queries
from kblam.models.inject import inject

QUESTION_PRIOR = ("beta_key", "beta_value", "question_key", "question_value")


def built_retrieval_scores(model: Any, adapter: Adapter, prior: Tensor) -> Tensor:
    """Head-averaged scores at the end of each prompt, from keys that are built, by a hook of its own."""
    slot, entered = 0, {}
    module = model.model.layers[adapter.config.knowledge_layers[slot]].self_attn
    handle = module.register_forward_pre_hook(lambda _, __, kwargs: entered.update(kwargs), with_kwargs=True)
    model(IDS, attention_mask=MASK)
    handle.remove()
    config = adapter.config
    query = (entered["hidden_states"][:, -1] @ adapter.query_weight[slot].T).view(3, config.heads, -1)
    keys = knowledge_keys(KEYS, adapter.key_weight, adapter.key_bias).view(13, -1, config.heads, config.head_dim)[
        :, slot
    ]
    scores = torch.einsum("bhd,mhd->bm", query, keys) * module.scaling / config.heads
    assert adapter.beta_key is not None and adapter.beta_value is not None
    assert adapter.question_key is not None and adapter.question_value is not None
    for_keys = reference_similarity(QUESTIONS, KEYS, adapter.question_key)
    for_values = reference_similarity(QUESTIONS, VALUES, adapter.question_value)
    return scores + adapter.beta_key[slot] * for_keys + adapter.beta_value[slot] * for_values + prior


@pytest.mark.parametrize("name", ["Llama", "Gemma2", "Phi3"])
@torch.no_grad()
def test_retrieval_keeps_the_best_rows_for_all_layers(name: str) -> None:
    model = tiny_model(name)
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=4, length_scale=3.0)
    recorder = Recorder(layers=(1, 2))
    ours = attend(model, adapter, recorder=recorder)
    retrieval = recorder.retrieval
    assert retrieval is not None and retrieval.indices is not None and retrieval.null is not None
    assert retrieval.scores.shape == (3, 13)
    assert torch.equal(retrieval.indices, retrieval.scores.topk(4).indices)
    weights = retrieval.weights()
    close(weights.sum(-1), torch.ones(3))
    close(
        weights[:, -1], (retrieval.null - torch.cat([retrieval.scores, retrieval.null[:, None]], 1).logsumexp(1)).exp()
    )
    with reference_attention(model, adapter, KEYS, VALUES, QUESTIONS, MASK, chosen=retrieval.indices):
        wanted = model(IDS, attention_mask=MASK).logits
    close(ours[TOKENS], wanted[TOKENS])
    assert all(torch.equal(recorder.attention[layer][0].indices, retrieval.indices) for layer in (1, 2))


@torch.no_grad()
def test_retrieval_scores_are_those_of_built_keys() -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=4)
    recorder, prior = Recorder(), torch.randn(3, 13)
    attend(model, adapter, recorder=recorder, prior=prior)
    assert recorder.retrieval is not None
    close(recorder.retrieval.scores, built_retrieval_scores(model, adapter, prior))


@pytest.mark.parametrize("top_k", [13, 14, 1000])
@torch.no_grad()
def test_retrieval_of_all_rows_is_exact_attention(top_k: int) -> None:
    model = tiny_model("Llama")
    exact = attend(model, tiny_adapter(model))
    recorder = Recorder()
    assert torch.equal(
        attend(model, tiny_adapter(model, retrieval_layer=1, top_k=2), top_k=top_k, recorder=recorder), exact
    )
    assert recorder.retrieval is not None
    assert recorder.retrieval.indices is None


@torch.no_grad()
def test_retrieval_reads_the_end_of_the_prompt_not_of_the_answer() -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=3)
    alone, longer = Recorder(), Recorder()
    attend(model, adapter, recorder=alone)
    answer = torch.randint(3, VOCABULARY, (3, 5))
    ids, mask = torch.cat([IDS, answer], 1), torch.nn.functional.pad(MASK, (0, 5), value=1)
    attend(model, adapter, ids=ids, mask=mask, recorder=longer, prompt_end=torch.full((3,), 8))
    right = Recorder()  # the same prompts, padded on the right
    ids = torch.stack([torch.cat([row[keep], row[~keep]]) for row, keep in zip(IDS, TOKENS, strict=True)])
    attend(model, adapter, ids=ids, mask=MASK.flip(1), recorder=right)
    assert alone.retrieval is not None
    for other in (longer.retrieval, right.retrieval):
        assert other is not None
        close(other.scores, alone.retrieval.scores)
        close(other.weights(), alone.retrieval.weights())


@torch.no_grad()
def test_chosen_rows_stay_for_the_whole_block_and_not_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    scans: list[int] = []
    scan = active.mean_head_scores
    monkeypatch.setattr(
        active, "mean_head_scores", lambda *given, **options: scans.append(1) or scan(*given, **options)
    )
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=3)
    injection, latents = inject(model, adapter), adapter.latents(KEYS, VALUES)
    recorder = Recorder(layers=(2,))
    with injection.attend(ActiveKnowledge(latents, QUESTIONS), recorder):
        model.generate(IDS, attention_mask=MASK, max_new_tokens=4, do_sample=False, eos_token_id=None)
    assert len(scans) == 1, "all rows are scored once per question, not once per token"
    records = recorder.attention[2]
    assert len(records) == 4
    assert recorder.retrieval is not None
    assert all(torch.equal(record.indices, recorder.retrieval.indices) for record in records)
    other = Recorder()
    with injection.attend(ActiveKnowledge(latents, -QUESTIONS), other):
        model(IDS, attention_mask=MASK)
    assert other.retrieval is not None
    assert not torch.equal(other.retrieval.indices, recorder.retrieval.indices)


def test_retrieval_scores_train_the_adapter_with_chosen_rows() -> None:
    model = tiny_model("Llama").requires_grad_(False)
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=3).requires_grad_()
    recorder, chosen = Recorder(), torch.tensor([[0, 1, 2]])
    recorded = attend(model, adapter, recorder=recorder, selected=chosen)
    assert torch.equal(recorded, attend(model, adapter, selected=chosen)), "looking changes nothing"
    assert recorder.retrieval is not None
    assert recorder.retrieval.indices is not None
    assert recorder.retrieval.indices.tolist() == [[0, 1, 2]] * 3
    assert recorder.retrieval.scores.shape == (3, 13)
    recorder.retrieval.weights()[:, 5].log().sum().backward()
    for name in ("key_weight", "key_bias", "query_weight", *QUESTION_PRIOR, "null_key", "null_offset"):
        gradient = getattr(adapter, name).grad
        assert gradient is not None and gradient.abs().max() > 0, name


@pytest.mark.parametrize("every_position", [False, True])
@torch.no_grad()
def test_record_holds_the_attention_weights(every_position: bool) -> None:
    model = tiny_model("Llama", "eager")
    adapter = tiny_adapter(model)
    recorder = Recorder(layers=(2,), every_position=every_position)
    attend(model, adapter, recorder=recorder)
    assert list(recorder.attention) == [2]
    ours = recorder.attention[2][0].weights()
    with reference_attention(model, adapter, KEYS, VALUES, QUESTIONS, MASK):
        wanted = model(IDS, attention_mask=MASK, output_attentions=False).logits
        captured: list[Tensor] = []
        module = model.model.layers[2].self_attn
        handle = module.register_forward_hook(lambda _, __, output: captured.append(output[1]))
        model(IDS, attention_mask=MASK)
        handle.remove()
    assert wanted is not None
    columns = captured[0][..., :14]  # 13 rows, then the null row
    if every_position:
        close(ours.transpose(1, 2)[TOKENS], columns.transpose(1, 2)[TOKENS])
        assert recorder.attention[2][0].null is not None
    else:
        assert ours.shape == (3, 4, 1, 14)
        close(ours, columns[:, :, -1:])


def test_fit_batch_repeats_in_beam_order() -> None:
    tensor = torch.tensor([[1], [2]])
    assert fit_batch(tensor, 4).flatten().tolist() == [1, 1, 2, 2]
    assert fit_batch(tensor[:1], 3).flatten().tolist() == [1, 1, 1]
    assert fit_batch(tensor, 2) is tensor
    with pytest.raises(ModelError):
        fit_batch(tensor, 3)


def test_visible_queries_of_every_kind_of_mask() -> None:
    causal = torch.ones(3, 3, dtype=torch.bool).tril()
    padding = torch.tensor([[0, 1, 1], [1, 1, 1]])
    wanted = padding.bool()
    made = (causal & wanted[:, None, :])[:, None]
    added = torch.zeros(made.shape).masked_fill(~made, torch.finfo(torch.float32).min)
    for mask in (padding, made, added, added.masked_fill(~made, -torch.inf), {"full_attention": None, "sliding": made}):
        visible = visible_queries(mask, 3)
        assert visible is not None
        assert torch.equal(visible, wanted)
    longer = visible_queries(torch.tensor([[0, 1, 1, 0, 1]]), 2)
    assert longer is not None
    assert longer.tolist() == [[False, True]]
    for mask in (None, torch.ones(2, 3), {"full_attention": None}, {}):
        assert visible_queries(mask, 3) is None


@torch.no_grad()
def test_an_empty_knowledge_base_leaves_everything_to_the_null_row() -> None:
    model = tiny_model("Llama")
    recorder = Recorder(layers=(2,))
    adapter = tiny_adapter(model, retrieval_layer=1, length_scale=100.0)
    attend(model, adapter, keys=KEYS[:0], values=VALUES[:0], recorder=recorder)
    assert recorder.retrieval is not None
    assert recorder.retrieval.weights().tolist() == [[1.0]] * 3
    assert recorder.attention == {}


@pytest.mark.parametrize("length_scale", [None, 7.0])
@torch.no_grad()
def test_eight_bit_scans_choose_and_weigh_rows_as_the_exact_ones_do(length_scale: float | None) -> None:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, retrieval_layer=1, top_k=4, length_scale=length_scale)
    exact, coarse = Recorder(), Recorder()
    prior = torch.randn(3, 13)
    wanted = attend(model, adapter, recorder=exact, prior=prior)
    injection = inject(model, adapter)
    knowledge = ActiveKnowledge(adapter.latents(KEYS, VALUES).quantised(), QUESTIONS, prior)
    with injection.attend(knowledge, coarse):
        logits = model(IDS, attention_mask=MASK).logits
    close(logits[TOKENS], wanted[TOKENS])
    assert exact.retrieval is not None and coarse.retrieval is not None
    close(coarse.retrieval.scores, exact.retrieval.scores)
    assert torch.equal(coarse.retrieval.indices, exact.retrieval.indices)


@torch.no_grad()
def test_rows_in_parts_give_what_the_whole_gives() -> None:
    model = tiny_model("Llama")
    for adapter in (tiny_adapter(model), tiny_adapter(model, retrieval_layer=1, top_k=4)):
        whole = adapter.latents(KEYS, VALUES)
        parts = LatentParts([whole.block(0, 5), whole.block(5, 6), whole.block(6, 13)])
        logits = []
        for latents in (whole, parts):
            injection = inject(model, adapter)
            with injection.attend(ActiveKnowledge(latents, QUESTIONS)):
                logits.append(model(IDS, attention_mask=MASK).logits[TOKENS])
            injection.remove()
        close(logits[1], logits[0])


@torch.no_grad()
def test_chosen_rows_need_no_scan_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    compare = active.similarities
    monkeypatch.setattr(active, "similarities", lambda *given: seen.append(len(given[2])) or compare(*given))
    model = tiny_model("Llama")
    attend(model, tiny_adapter(model, retrieval_layer=1, top_k=4), selected=torch.tensor([[2, 0]]))
    assert seen == [2]


def generated(
    knowledge_options: dict[str, Any], **adapter_options: Any
) -> tuple[list[list[int]], list[AttentionRecord]]:
    model = tiny_model("Llama")
    adapter = tiny_adapter(model, **adapter_options)
    injection, recorder = inject(model, adapter), Recorder(layers=(2,))
    with injection.attend(ActiveKnowledge(adapter.latents(KEYS, VALUES), QUESTIONS, **knowledge_options), recorder):
        made = model.generate(IDS, attention_mask=MASK, max_new_tokens=6, do_sample=False, eos_token_id=None)
    return made.tolist(), recorder.attention[2]


@pytest.mark.parametrize("top_k", [13, 99])
@torch.no_grad()
def test_rows_chosen_for_every_token_are_exact_attention_when_all_are(top_k: int) -> None:
    exact, _ = generated({})
    made, records = generated({"every": "token", "top_k": top_k}, retrieval_layer=1, top_k=3)
    assert made == exact
    assert all(record.scores.shape[-1] == 13 for record in records)


@torch.no_grad()
def test_rows_are_chosen_again_at_the_rhythm_asked_for() -> None:
    options = {"retrieval_layer": 1, "top_k": 3}
    once, at_first = generated({}, **options)
    assert all(torch.equal(record.indices, at_first[0].indices) for record in at_first)
    made, often = generated({"every": "token"}, **options)
    assert any(not torch.equal(record.indices, often[0].indices) for record in often[1:])
    # With all tokens as ends, sentences are tokens; with none they are the question.
    everywhere, _ = generated({"every": "sentence", "sentence_ends": torch.arange(VOCABULARY)}, **options)
    nowhere, _ = generated({"every": "sentence", "sentence_ends": torch.tensor([VOCABULARY + 1])}, **options)
    assert everywhere == made and nowhere == once


@torch.no_grad()
def test_only_elements_whose_sentence_ended_choose_again() -> None:
    options = {"retrieval_layer": 1, "top_k": 3}
    once, first = generated({}, **options)
    ends = torch.tensor([once[0][IDS.shape[1]]])
    _, records = generated({"every": "sentence", "sentence_ends": ends}, **options)
    _, often = generated({"every": "token"}, **options)
    for element in range(3):
        ended = once[element][IDS.shape[1]] == int(ends)
        wanted = (often if ended else first)[1].indices
        assert records[1].indices is not None and wanted is not None
        assert torch.equal(records[1].indices[element], wanted[element])


@torch.no_grad()
def test_chosen_rows_with_shares_are_replaced_too() -> None:
    chosen, shares = torch.tensor([[0, 1, 2]]), torch.tensor([[0.5, 0.3, 0.2]])
    options = {"selected": chosen, "shares": shares, "top_k": 3}
    _, once = generated(options, retrieval_layer=1)
    _, often = generated({**options, "every": "token"}, retrieval_layer=1)
    assert all(record.indices.tolist() == [[0, 1, 2]] * 3 for record in once)
    assert often[0].indices.tolist() == [[0, 1, 2]] * 3
    assert often[1].indices.tolist() != [[0, 1, 2]] * 3


@torch.no_grad()
def test_sentences_need_their_ends() -> None:
    with pytest.raises(ModelError, match="sentence_ends"):
        generated({"every": "sentence"}, retrieval_layer=1, top_k=3)
