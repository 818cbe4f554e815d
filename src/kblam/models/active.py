"""What a model attends to during one call: the rows, the choice among them, and a record of what it looked at.

Shapes: B batch, T tokens of one forward pass, M knowledge rows, m rows attended to (M or k), H heads, d width of a
head's key, D embedding width. n is B, 1 for something the whole batch shares, or a divisor of B: generation with
beams repeats each element of the batch, and so do we.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from kblam.attention.approximate import RowIndex
from kblam.attention.latent import Latents, latent_scores
from kblam.attention.merge import context_attention
from kblam.attention.retrieval import fold_heads, mean_head_scores, similarities
from kblam.attention.topk import gather, gather_rows, select
from kblam.errors import ModelError
from kblam.models.adapter import Adapter
from kblam.models.batches import fit_batch, visible_queries
from kblam.models.records import AttentionRecord, Recorder, Retrieval, with_null
from kblam.models.slots import SlotTokens

__all__ = [
    "RESCORED", "ActiveKnowledge", "Attended", "AttentionRecord", "Every", "ForwardPass", "Recorder", "Retrieval", "Rows",
]  # fmt: skip

Every = Literal["question", "sentence", "token"]

RESCORED = 400
"""Rows that are scored again in full precision after a scan of 8-bit codes; more when more are kept."""


@dataclass(frozen=True, eq=False)
class ActiveKnowledge:
    """The knowledge of one attend block and what is known about its questions."""

    latents: Latents
    """All rows, from `Adapter.latents`."""
    question: Tensor | None = None
    """Embeddings of the questions, (n, D), for the adapter's question prior."""
    prior: Tensor | None = None
    """Added to the scores of all layers, (n, M); -inf hides a row."""
    selected: Tensor | None = None
    """Rows chosen beforehand, (n, k), instead of by the retrieval layer."""
    shares: Tensor | None = None
    """Attention weights of the selected rows at the retrieval layer, (n, k): with them the choice is made, and their
    logarithms stand in place of the question prior in all layers."""
    slots: SlotTokens | None = None
    """Values of the first selected rows as tokens, for an adapter with slot layers."""
    tokens: Tensor | None = None
    """Values of all rows as tokens, (M, S), from which the slots of the rows that the retrieval layer chooses are cut."""
    prompt_end: Tensor | None = None
    """Position on the T axis of each prompt's last token, (n,); by default the last token that is not padding."""
    top_k: int | None = None
    """Rows the retrieval layer keeps, instead of the adapter's own number; M or more is exact attention to all rows."""
    every: Every = "question"
    """When rows are chosen: once, at the end of the prompt, or again for each sentence or token made (not with
    beams). Value slots stay those of the question."""
    sentence_ends: Tensor | None = None
    """Ids of the tokens that end a sentence, for `every` sentence."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that a layer attends to, with everything that enters their scores beside the query."""

    latents: Latents
    key_similarity: Tensor | None
    """Of the question, turned, to the key embeddings: (n, m)."""
    value_similarity: Tensor | None
    """Of the question, turned, to the value embeddings: (n, m)."""
    prior: Tensor | None
    """(n, m)."""
    indices: Tensor | None = None
    """(B, m); None for all rows."""
    weighed: bool = False
    """True when `prior` is all there is beside the query: the question has had its say in the choice."""

    def bias(self, adapter: Adapter, slot: int, count: int | None = None) -> Tensor | None:
        """What is added to the scores of the slot-th knowledge layer, (n, m); None for nothing.

        count: the rows under the same softmax, if not these.
        """
        bias = self.prior
        if adapter.beta_key is not None and adapter.beta_value is not None and not self.weighed:
            if self.key_similarity is None or self.value_similarity is None:
                raise ModelError(
                    "The adapter has a question prior, so ActiveKnowledge needs the `question` embeddings made by "
                    f"{adapter.config.encoder}."
                )
            similarity = adapter.beta_key[slot] * self.key_similarity + adapter.beta_value[slot] * self.value_similarity
            bias = similarity if bias is None else bias + similarity
        if adapter.config.length_scale is not None:
            shift = math.log(adapter.config.length_scale) - math.log(count or len(self.latents))
            device = adapter.key_weight.device
            same = torch.full((1, 1), shift, device=device).expand(1, len(self.latents))
            bias = same if bias is None else bias + shift
        return bias


class Attended:
    """The state of one attend block: its rows, and after the prompt the choice among them."""

    def __init__(
        self, adapter: Adapter, knowledge: ActiveKnowledge, recorder: Recorder | None, token_table: Tensor | None = None
    ) -> None:
        self.adapter = adapter
        self.knowledge = knowledge
        self.recorder = recorder
        self.token_table = token_table
        self.slots = knowledge.slots
        self._slot_pairs: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        question, latents = knowledge.question, knowledge.latents
        reads = question is not None and adapter.config.question_prior
        self.directions = adapter.read_question(question) if reads and question is not None else None
        """What the question prior compares keys and values with, (n, D) each."""
        top_k = adapter.config.top_k if knowledge.top_k is None else knowledge.top_k
        self.chooses = (
            knowledge.selected is None and adapter.config.retrieval_layer is not None and top_k < len(latents)
        )
        self.chooses_again = (
            knowledge.every != "question" and adapter.config.retrieval_layer is not None and top_k < len(latents)
        )
        self.top_k = top_k
        self.chosen: Rows | None = None
        self.passes = 0
        self.index = latents.index if self.chooses or self.chooses_again else None
        if self.index is None and (knowledge.selected is None or recorder is not None):
            # Made now, for a layer that is recomputed for the backward pass must find what it found the first time.
            _ = self.everything

    @cached_property
    def everything(self) -> Rows:
        """All rows; their similarities cost one scan, which an attend block with chosen rows does without."""
        return self._rows(self.knowledge.latents, self.directions, self.knowledge.prior)

    def take(self, indices: Tensor) -> Rows:
        """The rows with these indices (B, k), all parts by the same index and in full precision."""
        batch, prior = indices.shape[0], self.knowledge.prior
        directions = self.directions
        if directions is not None:
            directions = fit_batch(directions[0], batch), fit_batch(directions[1], batch)
        chosen = None if prior is None else gather_rows(fit_batch(prior, batch), indices)
        return self._rows(gather(self.knowledge.latents, indices), directions, chosen, indices)

    @staticmethod
    def _rows(
        latents: Latents, directions: tuple[Tensor, Tensor] | None, prior: Tensor | None, indices: Tensor | None = None
    ) -> Rows:
        if directions is None:
            return Rows(latents, None, None, prior, indices)
        return Rows(latents, *similarities(*directions, latents), prior, indices)

    def _choice(self, indices: Tensor) -> Rows:
        shares = self.knowledge.shares
        return self.take(indices) if shares is None else self._weighed(indices, fit_batch(shares, indices.shape[0]))

    def _weighed(self, indices: Tensor, shares: Tensor) -> Rows:
        """The rows with these indices (B, k), weighed by their shares (B, k) instead of by the question."""
        return Rows(gather(self.knowledge.latents, indices), None, None, shares.log(), indices, weighed=True)

    def choose(self, indices: Tensor, scores: Tensor, null: Tensor | None) -> Rows:
        """The rows that the retrieval layer chose; an adapter with value slots weighs them by its attention.

        Shapes: indices (B, k), scores (B, M), null (B,).
        """
        if self.adapter.value_slots is None:
            return self.take(indices)
        total = with_null(scores, null).detach().logsumexp(-1, keepdim=True)
        shares = (scores.detach().gather(1, indices) - total).exp()
        if self.slots is None and self.knowledge.tokens is not None:
            best = slice(self.adapter.config.slot_rows)
            self.slots = SlotTokens(self.knowledge.tokens[indices[:, best]], shares[:, best])
        return self._weighed(indices, shares)

    def slot_attention(
        self, layer: int, query: Tensor, *, scaling: float, visible: Tensor | None, soft_cap: float | None
    ) -> tuple[Tensor, Tensor]:
        """Attend to the value slots in a slot layer.

        Shapes: query (B, H, T, d), visible (B, T). Returns the output (B, H, T, v) and the log-sum-exp (B, H, T).
        """
        if layer not in self._slot_pairs:
            maps, slots, index = self.adapter.value_slots, self.slots, self.adapter.slot_layer(layer)
            assert maps is not None and slots is not None and self.token_table is not None
            pairs = maps.pairs(index, *maps.embed(slots, self.token_table), query.shape[1])
            self._slot_pairs[layer] = (*pairs, maps.bias(index, slots))
        key, value, bias = (fit_batch(part, query.shape[0]) for part in self._slot_pairs[layer])
        output, log_sum_exp = context_attention(query, key, value, bias, scaling=scaling, soft_cap=soft_cap)
        return output, log_sum_exp if visible is None else log_sum_exp.masked_fill(~visible[:, None], -torch.inf)

    def begin(
        self, batch: int, tokens: int, attention_mask: object, device: torch.device, ids: Tensor | None = None
    ) -> ForwardPass:
        """Open one forward pass of the decoder; the first is the prompt. ids: its tokens (B, T)."""
        visible = visible_queries(attention_mask, tokens)
        if self.knowledge.prompt_end is not None and self.passes == 0:
            last = fit_batch(self.knowledge.prompt_end.to(device), batch)
        elif visible is None:
            last = torch.full((batch,), tokens - 1, device=device)
        else:
            last = (visible * torch.arange(tokens, device=device)).argmax(-1)
        indices = self.knowledge.selected if self.chosen is None else self.chosen.indices
        if indices is not None and (self.chosen is None or indices.shape[0] != batch):
            self.chosen = self._choice(fit_batch(indices.to(device), batch))
        self.passes += 1
        again = None
        if self.chooses_again and self.passes > 1:
            again = self._sentences_ended(ids, last)
        return ForwardPass(self, visible, last, prompt=self.passes == 1, gradients=torch.is_grad_enabled(), again=again)

    def _sentences_ended(self, ids: Tensor | None, last: Tensor) -> Tensor | None:
        """Which elements choose again in this pass, (B,); None when none does."""
        if self.knowledge.every == "token":
            return torch.ones_like(last, dtype=torch.bool)
        ends = self.knowledge.sentence_ends
        if ids is None or ends is None:
            raise ModelError("Choosing rows for every sentence needs token ids and ActiveKnowledge's `sentence_ends`.")
        ended = torch.isin(ids.gather(1, last[:, None])[:, 0], ends.to(ids.device))
        return ended if bool(ended.any()) else None

    def choose_again(self, scores: Tensor, again: Tensor) -> Rows:
        """The best rows by these scores (B, M) where `again` (B,) says so, elsewhere those there are."""
        before = self.chosen
        indices = select(scores, self.top_k)
        kept = again[:, None]
        if before is not None and before.indices is not None:
            width = min(indices.shape[1], before.indices.shape[1])
            indices = torch.where(kept, indices[:, :width], before.indices[:, :width])
        if self.knowledge.shares is None:
            return self.take(indices)
        weights = gather_rows(scores.log_softmax(-1), indices)
        if before is not None and before.prior is not None:
            weights = torch.where(kept, weights, before.prior[:, : weights.shape[1]])
        return Rows(gather(self.knowledge.latents, indices), None, None, weights, indices, weighed=True)


@dataclass(eq=False)
class ForwardPass:
    """One run through the decoder's layers.

    It travels with the call's keyword arguments, so that a layer recomputed for the backward pass (gradient
    checkpointing, in whatever thread) does the same again.
    """

    attended: Attended
    visible: Tensor | None
    """(B, T), false on padding; None where nothing is padding."""
    last: Tensor
    """Position of each element's last token, (B,)."""
    prompt: bool
    """True for the first pass of the attend block."""
    gradients: bool
    """True when the pass was opened with autograd on."""
    again: Tensor | None = None
    """Which elements choose their rows again, (B,); None in all passes but those that `ActiveKnowledge.every` names."""
    recorded: set[int] = field(default_factory=set)

    def rows(self, slot: int, query: Tensor, scaling: float) -> Rows:
        """The rows the slot-th knowledge layer attends to; the retrieval layer chooses them from the prompt.

        Shapes: query (B, H, T, d).
        """
        attended = self.attended
        if slot == 0 and self.again is not None:
            attended.chosen = attended.choose_again(self._scores(self._ends(query), scaling), self.again)
            return attended.chosen
        retrieves = slot == 0 and self.prompt and attended.adapter.config.retrieval_layer is not None
        if retrieves and (attended.chooses or attended.recorder is not None):
            chosen = self._retrieve(query, scaling)
            # A recomputed layer must not replace what later layers already hold.
            attended.chosen = attended.chosen or chosen
            return chosen or attended.chosen or attended.everything
        return attended.chosen or attended.everything

    def _retrieve(self, query: Tensor, scaling: float) -> Rows | None:
        attended = self.attended
        ends = self._ends(query)
        scores = self._scores(ends, scaling)
        null = attended.adapter.null_score(0, ends[:, :, None], scaling)
        average = None if null is None else null.mean((1, 2))
        chosen = None
        if attended.chooses:
            indices = select(scores, attended.top_k) if attended.chosen is None else attended.chosen.indices
            assert indices is not None
            chosen = attended.choose(indices, scores, average)
        if attended.recorder is not None and attended.recorder.retrieval is None:
            kept = chosen or attended.chosen
            attended.recorder.retrieval = Retrieval(scores, average, None if kept is None else kept.indices)
        return chosen

    def _ends(self, query: Tensor) -> Tensor:
        """The queries of each element's last token: (B, H, T, d) to (B, H, d)."""
        return query[torch.arange(query.shape[0], device=query.device), :, self.last]

    def _scores(self, ends: Tensor, scaling: float) -> Tensor:
        """All rows' scores for the last tokens, (B, M); ends (B, H, d)."""
        attended = self.attended
        if attended.index is not None:
            count = len(attended.knowledge.latents)
            unseen = torch.full((ends.shape[0], count), -torch.inf, device=ends.device)
            return self._rescored(unseen, self._proposed(attended.index, ends, scaling), ends, scaling)
        everything = attended.everything
        scores = mean_head_scores(ends, everything.latents, attended.adapter.projections(0), scaling=scaling)
        bias = everything.bias(attended.adapter, 0) if len(everything.latents) else None
        if bias is not None:
            scores = scores + fit_batch(bias, ends.shape[0])
        if everything.latents.coarse is None:
            return scores
        return self._rescored(scores, select(scores, max(RESCORED, 2 * attended.top_k)), ends, scaling)

    def _proposed(self, index: RowIndex, ends: Tensor, scaling: float) -> Tensor:
        """The rows that the index proposes for the last tokens, (B, c); ends (B, H, d)."""
        attended, batch = self.attended, ends.shape[0]
        for_keys = index.key_scale * fold_heads(ends, attended.adapter.projections(0), scaling=scaling)[0]
        for_values = torch.zeros_like(for_keys)
        if attended.directions is not None:
            prior = attended.adapter.weigh(*attended.directions)
            for_keys, for_values = for_keys + fit_batch(prior[0], batch), fit_batch(prior[1], batch)
        named = attended.knowledge.prior
        named = None if named is None else fit_batch(named, batch)
        return index.propose(for_keys, for_values, named, len(attended.knowledge.latents))

    def _rescored(self, scores: Tensor, best: Tensor, ends: Tensor, scaling: float) -> Tensor:
        """The scores (B, M) with those of these rows (B, c) computed in full precision; ends (B, H, d)."""
        attended, adapter = self.attended, self.attended.adapter
        rows = attended.take(best)
        exact = mean_head_scores(ends, rows.latents, adapter.projections(0), scaling=scaling)
        bias = rows.bias(adapter, 0, count=scores.shape[1])
        return scores.scatter(1, best, exact if bias is None else exact + fit_batch(bias, scores.shape[0]))

    def record(
        self,
        layer: int,
        query: Tensor,
        rows: Rows,
        null: Tensor | None,
        log_sum_exp: Tensor,
        scaling: float,
        soft_cap: float | None,
    ) -> None:
        """Note a layer's attention if the recorder asks for it; query (B, H, T, d), null and log_sum_exp (B, H, T)."""
        recorder, adapter = self.attended.recorder, self.attended.adapter
        if recorder is None or layer not in recorder.layers:
            return
        slot, bias = adapter.slot(layer), rows.bias(adapter, adapter.slot(layer))
        if not recorder.every_position:
            batch = torch.arange(query.shape[0], device=query.device)
            query, log_sum_exp = (tensor[batch, :, self.last].unsqueeze(2) for tensor in (query, log_sum_exp))
            null = None if null is None else null[batch, :, self.last].unsqueeze(2)
        bias = None if bias is None else fit_batch(bias, query.shape[0])[:, None, None, :]
        options = {"scaling": scaling, "bias": bias, "soft_cap": soft_cap}
        scores = latent_scores(query, rows.latents, adapter.projections(slot), **options)  # type: ignore[arg-type]
        if layer not in self.recorded:
            self.recorded.add(layer)
            recorder.attention.setdefault(layer, []).append(AttentionRecord(scores, null, log_sum_exp, rows.indices))
