"""Train the shipped adapter's value slots: `python recipes/default_model/train_slots.py`, after train_vectors.py.

Half of the values are random strings in eight languages, so that any value can be said. Writes `runs/slots/`.
"""

from __future__ import annotations

import argparse
import json
import random
from dataclasses import replace
from pathlib import Path

import tasks
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from kblam.answering.prompts import REFUSAL
from kblam.knowledge import Triple, load_encoder
from kblam.models.active import ActiveKnowledge
from kblam.models.adapter import Adapter
from kblam.models.anatomy import attention_sites, query_projection, value_projection
from kblam.models.inject import Injection, inject
from kblam.models.slots import slot_tokens
from kblam.synthesis.facts import make_facts
from kblam.training.losses import TextBatch, tokenise
from kblam.training.questions import Practice, make_practice
from kblam.training.vectors import OPENING_SPEED

RUNS = Path(__file__).parent / "runs"
LAYERS = (1, 2, 3)
TOP_K = 24
HIDDEN = 0.06
"""Share of questions whose fact is missing, so that the model learns to say so."""
FIRST_TOKEN = 4.0
"""Weight of a value's first token, which decides whether the rest is found."""


def practice_with_any_values(tokenizer: object, adapter: Adapter, count: int, seed: int) -> Practice:
    """Facts of which every second one has a random string as its value, and questions about them."""
    wild, draw = tasks.Practice(tokenizer, seed + 5, facts=100), random.Random(seed + 3)  # type: ignore[arg-type]
    facts = [
        Triple(fact.entity, fact.property, wild._wild_value()) if draw.random() < 0.5 else fact
        for fact in make_facts(count, seed + 77, other_scripts=0.1)
    ]
    spoken = [fact for fact in facts if fact.value.strip()]
    encoder = load_encoder("all-MiniLM-L6-v2")
    practice = make_practice(spoken, encoder, seed + 3, paraphrase=0.5)
    asked = adapter.question_encoder(encoder).encode([question.text for question in practice.questions])
    return replace(practice, asked=torch.from_numpy(asked))


def shares_of(
    adapter: Adapter, practice: Practice, rows: Tensor, right: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor]:
    """Rows that each question attends to, the right one among the first four unless it is hidden, and their shares."""
    latents = adapter.latents(practice.keys[rows], practice.values[rows])
    scores = adapter.prior_scores(practice.asked[rows[right]], latents)
    scores[torch.arange(len(right)), right] += 3 * torch.rand(len(right))  # what a name in the question adds
    scores[hidden, right[hidden]] = -torch.inf
    top = scores.topk(TOP_K).indices
    for index, own in enumerate(right):
        if not hidden[index] and own not in top[index, :4]:
            top[index] = torch.cat([own[None], top[index, :-1]])
    shares = scores.softmax(-1).gather(1, top)
    sure = torch.where(hidden, 0.2 * torch.rand(len(right)), 0.6 + 0.4 * torch.rand(len(right)))
    return top, shares * sure[:, None]


def loss_of(
    base: nn.Module, tokenizer: object, adapter: Adapter, injection: Injection, practice: Practice,
    rows: Tensor, right: Tensor, hidden: Tensor,
) -> Tensor:  # fmt: skip
    """Mean cross-entropy of the answers' tokens."""
    asked = rows[right].tolist()
    answers = [
        REFUSAL if gone else practice.questions[row].answer for row, gone in zip(asked, hidden.tolist(), strict=True)
    ]
    text = tokenise(tokenizer, [practice.questions[row].text for row in asked], answers)  # type: ignore[arg-type]
    with torch.no_grad():
        top, shares = shares_of(adapter, practice, rows, right, hidden)
        latents = adapter.latents(practice.keys[rows], practice.values[rows])
    values = [[practice.facts[int(rows[row])].value for row in best] for best in top[:, :4]]
    slots = slot_tokens(tokenizer, values, shares[:, :4], adapter.config.slot_tokens)  # type: ignore[arg-type]
    knowledge = ActiveKnowledge(latents, selected=top, shares=shares, slots=slots, prompt_end=text.prompt_end)
    with injection.attend(knowledge):
        states = base.model(input_ids=text.ids, attention_mask=text.mask, use_cache=False).last_hidden_state
    spoken = text.said != -100
    loss = nn.functional.cross_entropy(base.lm_head(states[spoken]).float(), text.said[spoken], reduction="none")
    weight = _weights(tokenizer, practice, asked, hidden, text)[spoken]
    return (loss * weight).sum() / weight.sum()


def _weights(tokenizer: object, practice: Practice, asked: list[int], hidden: Tensor, text: TextBatch) -> Tensor:
    weights = torch.ones(text.said.shape)
    for index, row in enumerate(asked):
        value = tokenizer(" " + practice.facts[row].value, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
        places = (text.said[index] != -100).nonzero()[:, 0]
        if not hidden[index] and len(places) > len(value):
            weights[index, places[-len(value) - 1]] = FIRST_TOKEN
    return weights


def new_slots(vectors: Adapter, base: nn.Module, tokenizer: object) -> Adapter:
    """The adapter with slots that begin as copying heads."""
    adapter = Adapter(replace(vectors.config, slot_layers=LAYERS), vectors.provenance)
    adapter.load_state_dict(vectors.state_dict(), strict=False)
    adapter.question_updates = vectors.question_updates
    adapter.requires_grad_(False)
    slots = adapter.value_slots
    assert slots is not None
    for index, site in enumerate(attention_sites(base, LAYERS).values()):  # type: ignore[arg-type]
        slots.start(index, query_projection(site)[0], value_projection(site))
    marker = tokenizer.convert_tokens_to_ids("<|assistant|>")  # type: ignore[attr-defined]
    slots.open_after(base.get_input_embeddings().weight[marker])
    return adapter


def main() -> None:
    """The whole run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rows", type=int, default=512, help="facts in the knowledge base of a step")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--facts", type=int, default=8000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    base = AutoModelForCausalLM.from_pretrained(RUNS / "base", dtype=torch.float32).requires_grad_(False).eval()
    tokenizer = AutoTokenizer.from_pretrained(RUNS / "base")
    adapter = new_slots(Adapter.load(RUNS / "adapter"), base, tokenizer)
    practice = practice_with_any_values(tokenizer, adapter, options.facts, options.seed)
    slots = adapter.value_slots
    assert slots is not None
    others = [tensor for name, tensor in adapter.named_parameters() if name.startswith(("value_", "null_"))]
    others = [tensor for tensor in others if tensor is not slots.opening]
    groups = [{"params": others, "speed": 1.0}, {"params": [slots.opening], "speed": OPENING_SPEED}]
    for tensor in (*others, slots.opening):
        tensor.requires_grad_(True)
    optimizer = torch.optim.AdamW(groups, lr=options.rate, weight_decay=0.0, betas=(0.9, 0.98))
    injection, draw, entities = inject(base, adapter), random.Random(options.seed + 1), practice.by_entity()
    log = (RUNS / "slots.jsonl").open("w", encoding="utf-8")
    losses = []
    for step in range(options.steps):
        for group in optimizer.param_groups:
            fall = max(0.02, (options.steps - step) / options.steps)
            group["lr"] = group["speed"] * options.rate * min((step + 1) / 50, fall)
        rows: list[int] = []
        while len(rows) < options.rows:
            rows = list(dict.fromkeys([*rows, *draw.choice(entities)]))
        right = torch.tensor(draw.sample(range(len(rows)), options.batch))
        hidden = torch.tensor([draw.random() < HIDDEN for _ in right])
        loss = loss_of(base, tokenizer, adapter, injection, practice, torch.tensor(rows), right, hidden)
        loss.backward()
        nn.utils.clip_grad_norm_([*others, slots.opening], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % 50 == 0:
            log.write(json.dumps({"step": step + 1, "loss": round(sum(losses[-50:]) / 50, 4)}) + "\n")
            log.flush()
    injection.remove()
    adapter.provenance = {**adapter.provenance, "slots": vars(options)}
    adapter.save(RUNS / "slots")


if __name__ == "__main__":
    main()
