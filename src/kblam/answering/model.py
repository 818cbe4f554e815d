"""A language model with a knowledge base: attach facts, ask, get answers with the facts they rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import Literal, get_args, overload

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kblam.answering.answer import Answer
from kblam.answering.composing import Check, composed
from kblam.answering.conversation import in_conversation
from kblam.answering.decoding import Generation
from kblam.answering.evidence import confidence
from kblam.answering.forms import answering_rows, form_asked, listed
from kblam.answering.prompts import check_question
from kblam.answering.reader import Reader, follow
from kblam.answering.reading import Reading
from kblam.answering.speech import Choice, Speech
from kblam.answering.vectors import Scan
from kblam.attention.approximate import load_faiss
from kblam.errors import EncoderError, InputError
from kblam.knowledge import KnowledgeBase, Snapshot
from kblam.models.active import ActiveKnowledge, Every, Recorder
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.inject import inject
from kblam.models.original import load_original
from kblam.models.pretrained import Pretrained, load_pretrained, save_enhanced
from kblam.models.shipped import shipped_adapter

__all__ = ["KBLaM"]

WORTH_QUOTING = 0.1
"""Share of the best row's weight above which another row is shown to the model as well."""
Grounding = Literal["quote", "tokens"]


class KBLaM:
    """A frozen Hugging Face decoder that answers from a knowledge base."""

    def __init__(self, parts: Pretrained) -> None:
        self.name, self.base_model = parts.name, parts.base_model
        self.base: PreTrainedModel = parts.base
        self.adapter: Adapter | None = parts.adapter
        self._injection = None
        if self.adapter is not None:
            self.adapter.to(self.base.device)
            self._injection = inject(self.base, self.adapter)
        self.speech = Speech(self.name, self.base, parts.tokenizer, self.adapter, self._injection)
        self.knowledge: KnowledgeBase | None = None
        self._reader: Reader | None = None
        self._past: Reader | None = None
        self._scan: Scan = "exact"
        if parts.knowledge is not None:
            self.attach(parts.knowledge)

    @classmethod
    def from_pretrained(cls, reference: str | Path = "default") -> KBLaM:
        """Load `default`, `default-large`, a directory written by `save` or `kblam integrate`, or any decoder by folder or hub name."""
        return cls(load_pretrained(str(reference)))

    @classmethod
    def from_original(cls, base: str | Path, checkpoint_dir: str | Path, encoder_dir: str | Path) -> KBLaM:
        """Load files trained by microsoft/KBLaM or AtlasKV; `base` is the plain model they were trained on."""
        parts = load_pretrained(str(base))
        adapter = load_original(parts.base, checkpoint_dir, encoder_dir)
        return cls(Pretrained(parts.base_model, parts.base, parts.tokenizer, adapter, None))

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The base model's tokenizer; raises ModelError when its folder has none."""
        return self.speech.tokenizer

    @property
    def notice(self) -> str | None:
        """One sentence for the user of a model without a trained adapter."""
        if self.adapter is not None:
            return None
        return (
            f"{self.name} has no trained adapter: facts are chosen as the shipped model reads them (by sentence similarity with another "
            "encoder) and quoted in the prompt; `kblam train` makes an adapter."
        )

    def attach(self, knowledge: KnowledgeBase, scan: Scan = "exact") -> KBLaM:
        """Answer from this knowledge base, and follow its changes; also a context manager that detaches at its end.

        scan: `exact` scores all rows as they are stored; `int8` scores 8-bit codes of them and the best few hundred
        again as they are stored, which halves the memory traffic; `ann` has an index propose a few thousand rows, of
            which the scores are then exact (for about a million rows and more; needs the extra `ann`).
        With an adapter of the original, calls of `model.base` attend to the rows there are now as well.
        Raises EncoderError when the adapter reads another encoder's vectors.
        """
        if not isinstance(knowledge, KnowledgeBase):
            raise InputError(
                f"{knowledge!r} is no knowledge base: attach KnowledgeBase.from_file(...) or KnowledgeBase.open(...)"
            )
        if self.adapter is not None and knowledge.encoder_name not in (None, self.adapter.config.encoder):
            raise EncoderError(
                f"the knowledge was encoded by {knowledge.encoder_name} but the adapter of {self.name} reads {self.adapter.config.encoder}: "
                "encode the facts again with that encoder"
            )
        if scan not in get_args(Scan):
            raise InputError(f"scan {scan!r} is unknown: choose exact, int8 or ann")
        if scan == "ann":
            load_faiss()
        self.knowledge, self._reader, self._past, self._scan = knowledge, None, None, scan
        if self._injection is not None and self.adapter is not None and not self.adapter.config.question_prior:
            # Nothing but the prompt enters this adapter's scores, so `model.base` itself can attend to the knowledge.
            self._injection.standing = ActiveKnowledge(self.speech.plain_latents(knowledge.snapshot()))
        return self

    def detach(self) -> None:
        """Forget the knowledge base; the base model is as it was."""
        self.knowledge, self._reader, self._past = None, None, None
        if self._injection is not None:
            self._injection.standing = None

    def __enter__(self) -> KBLaM:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def save(self, directory: str | Path) -> None:
        """Write adapter and knowledge (never base weights) to a directory that `from_pretrained` reads."""
        knowledge = self.knowledge or KnowledgeBase.empty()
        save_enhanced(directory, self.base_model, self.adapter, knowledge, {})

    # -- asking --------------------------------------------------------------------------------------------------------

    @overload
    def ask(  # type: ignore[overload-overlap]  # a str is a Sequence[str] too
        self,
        questions: str,
        grounding: Grounding = ...,
        on_text: Callable[[str], None] | None = ...,
        version: int | None = ...,
        generation: Generation | None = ...,
        every: Every = ...,
    ) -> Answer: ...
    @overload
    def ask(
        self,
        questions: Sequence[str],
        grounding: Grounding = ...,
        on_text: None = ...,
        version: int | None = ...,
        generation: Generation | None = ...,
        every: Every = ...,
    ) -> list[Answer]: ...
    def ask(
        self,
        questions: str | Sequence[str],
        grounding: Grounding = "quote",
        on_text: Callable[[str], None] | None = None,
        version: int | None = None,
        generation: Generation | None = None,
        every: Every = "question",
    ) -> Answer | list[Answer]:
        """Answer one question or several.

        grounding: `quote` lets the model read the text of the rows its attention chose, so values come back exactly;
        `tokens` gives it their vectors only, as in the paper. on_text: receives the pieces of a single question's
        answer as they are made. version: answer as of this version of a store (see KnowledgeBase.open), not of now.
        generation: draws words instead of taking the likeliest, hears several answers at once, stops some.
        every: with `tokens`, the rows attended to are chosen for the question, or again for each `sentence` or `token`.
        Raises InputError for an empty question or one too long for the model.
        """
        asked = list(questions) if isinstance(questions, Iterable) and not isinstance(questions, str) else [questions]
        if grounding not in ("quote", "tokens"):
            raise InputError(f"grounding {grounding!r} is unknown: choose quote or tokens")
        if every not in ("question", "sentence", "token"):
            raise InputError(f"every {every!r} is unknown: choose question, sentence or token")
        if grounding == "tokens" and self.adapter is None:
            raise InputError(
                f"{self.name} has no trained adapter, so knowledge cannot enter as vectors: use --grounding quote "
                "or train one with `kblam train`"
            )
        for question in asked:
            check_question(question)
        if not asked:
            return []
        reader = self.reader(version)
        generation = generation or Generation(listeners=[on_text] if on_text and len(asked) == 1 else ())
        answers = self._answer_all(reader, asked, grounding, generation, every)
        return answers[0] if isinstance(questions, str) else answers

    def in_conversation(self, question: str, earlier: Sequence[str], version: int | None = None) -> str:
        """The question with the thing that the latest of the earlier questions names in place of `it`, `her` and the like."""
        return in_conversation(self.reader(version), question, earlier)

    def beside(self, knowledge: KnowledgeBase, scan: Scan = "exact") -> KBLaM:
        """Return a model of other knowledge that shares this one's weights; their questions take turns."""
        return copy(self).attach(knowledge, scan)

    def say(self, questions: Sequence[str], generation: Generation | None = None) -> list[str]:
        """What the base model says to each question without any knowledge."""
        for question in questions:
            check_question(question)
        return self.speech.write(questions, generation or Generation(), range(len(questions)))

    @torch.no_grad()
    def look(self, questions: Sequence[str]) -> list[int]:
        """The row each question attends to most, whether or not it answers the question."""
        return [rows[0] for rows in self.nearest(questions, 1)]

    @torch.no_grad()
    def nearest(self, questions: Sequence[str], count: int) -> list[list[int]]:
        """The rows each question attends to most, best first, whether or not they answer the question."""
        reader = self._current()
        scores = self._attention(reader, reader.read(questions))
        best: list[list[int]] = scores.topk(min(count, scores.shape[1])).indices.tolist()
        return best

    @torch.no_grad()
    def observe(self, questions: Sequence[str], recorder: Recorder) -> int:
        """Read questions with every row open to every layer, note what they attend to, and return the number of rows.

        Raises InputError for a model without an adapter.
        """
        if self.adapter is None:
            raise InputError(f"{self.name} has no trained adapter, so no layer of it attends to knowledge")
        reader = self._current()
        rows = len(reader.snapshot.triples)
        self._look(reader, reader.read(questions), recorder, top_k=max(1, rows))
        return rows

    def _answer_all(
        self, reader: Reader, questions: list[str], grounding: Grounding, generation: Generation, every: Every
    ) -> list[Answer]:
        parts = [reader.clauses(question) for question in questions]
        flat = [clause for part in parts for clause in part]
        choices = self._choose(reader, flat)
        quoting = grounding == "quote"
        owners = [number for number, part in enumerate(parts) for _ in part]
        # Things are listed as they are stored.
        told = {index for index, choice in enumerate(choices) if choice.rows and choice.form == "thing"}
        wanted = [index for index, choice in enumerate(choices) if choice.rows and index not in told]
        speaking = [owners[index] for index in wanted]
        # Words that may still be corrected, or joined from several clauses, are heard when they are final.
        check = self._check if quoting and reader.snapshot.has_texts else None
        live = {own for own in speaking if owners.count(own) == 1 and check is None}
        spoken_of = [choices[index] for index in wanted]
        words = self.speech.say(reader, spoken_of, quoting, generation.heard_by(live), speaking, every)
        texts = dict(zip(wanted, words, strict=True))
        texts |= {index: listed([reader.snapshot.triples[row] for row in choices[index].rows]) for index in told}
        spoken: list[list[tuple[Choice, str | None]]] = [[] for _ in questions]
        for index, owner in enumerate(owners):
            spoken[owner].append((choices[index], texts.get(index)))
        answers = [
            composed(question, said, reader.snapshot, check, grounding, self.name)
            for question, said in zip(questions, spoken, strict=True)
        ]
        for number, answer in enumerate(answers):
            listener = generation.listener(number)
            if listener is not None and number not in live:
                listener(answer.text)
        return answers

    @property
    def _check(self) -> Check | None:
        """What the model's words must be when it quotes."""
        if self.adapter is None:
            return "words"
        if self.adapter.config.check_quotes:
            return "value"
        return "words" if self.adapter.config.check_words else None

    def reader(self, version: int | None = None) -> Reader:
        """What reads questions against the knowledge base, as it is now or as of a version."""
        present = self._current()
        return present if version in (None, present.snapshot.version) else self._as_of(version or 0)

    def _current(self) -> Reader:
        """The reader of the knowledge base's present version."""
        knowledge = self._attached()
        reader = None if self._reader is None else follow(self._reader, knowledge)
        if reader is None:
            snapshot = knowledge.snapshot()
            reader = Reader(self._eyes(snapshot), snapshot, knowledge.encoder, self._scan)
        self._reader = reader
        return reader

    def _as_of(self, version: int) -> Reader:
        """The reader of a version of the past; the last one is kept."""
        knowledge = self._attached()
        if self._past is None or self._past.snapshot.version != version:
            snapshot = knowledge.at(version)
            self._past = Reader(self._eyes(snapshot), snapshot, knowledge.encoder)
        return self._past

    def _attached(self) -> KnowledgeBase:
        if self.knowledge is None:
            raise InputError("no knowledge is attached: give a file with --kb, or call attach(KnowledgeBase.open(...))")
        return self.knowledge

    def _eyes(self, snapshot: Snapshot) -> Adapter:
        """What reads questions: the adapter, or the shipped one's question prior, or plain similarity for other
        encoders."""
        if self.adapter is not None and self.adapter.config.question_prior:
            return self.adapter
        if (shipped := shipped_adapter()).config.encoder == snapshot.encoder_name:
            return shipped
        shape = {"knowledge_layers": (0,), "heads": 1, "head_dim": 1, "value_head_dim": 1, "hidden_size": 1}
        return Adapter(AdapterConfig(snapshot.encoder_name or "", snapshot.width, self.name, **shape)).eval()  # type: ignore[arg-type]

    @torch.no_grad()
    def _choose(self, reader: Reader, clauses: Sequence[str]) -> list[Choice]:
        """Which rows answer each clause, by the attention of the retrieval layer."""
        reading, rows = reader.read(clauses), len(reader.snapshot.triples)
        if rows == 0:
            nothing = torch.empty(0, dtype=torch.long)
            return [
                Choice(text, asked, torch.ones(1), (), nothing)
                for text, asked in zip(reading.texts, reading.embedding, strict=True)
            ]
        scores = self._attention(reader, reading).float()
        best = scores.argmax(-1).tolist()
        sure = confidence(reader, reading, best).to(scores.device)
        weights = torch.cat([scores.softmax(-1) * sure[:, None], 1 - sure[:, None]], -1).cpu()
        attended = scores.topk(min(self._top_k, rows)).indices
        choices = []
        for index, text in enumerate(reader.said_plainly(reading, best)):
            share, form = weights[index], form_asked(reader, reading, index, best[index])
            found: tuple[int, ...] = ()
            if sure[index] > 0.5:
                things = form == "thing"
                found = (
                    answering_rows(reader, reading, index, best[index]) if things else self._worth_quoting(share[:-1])
                )
            via = [reading.via[index][row] for row in found[:1] if row in reading.via[index]]
            choices.append(Choice(text, reading.embedding[index], share, found, attended[index], form, tuple(via)))
        return choices

    def _worth_quoting(self, weights: Tensor) -> tuple[int, ...]:
        most = AdapterConfig.quote_rows if self.adapter is None else self.adapter.config.quote_rows
        top = weights.topk(min(most, len(weights)))
        return tuple(
            row
            for row, weight in zip(top.indices.tolist(), top.values.tolist(), strict=True)
            if weight >= WORTH_QUOTING * top.values[0].item()
        )

    def _attention(self, reader: Reader, reading: Reading) -> Tensor:
        """Scores of the rows at the retrieval layer, (n, M); by the questions alone without an adapter."""
        if self._injection is None or self.adapter is None or self.adapter.config.retrieval_layer is None:
            return reader.scores(reading)
        recorder = Recorder()
        self._look(reader, reading, recorder)
        assert recorder.retrieval is not None
        return recorder.retrieval.scores

    def _look(self, reader: Reader, reading: Reading, recorder: Recorder, top_k: int | None = None) -> None:
        """Read questions with the knowledge in sight and note what is attended to."""
        assert self._injection is not None and self.adapter is not None
        # Without a retrieval layer, as in the original, nothing but the prompt enters the scores.
        named = None if self.adapter.config.retrieval_layer is None else reading.named
        with self._injection.attend(ActiveKnowledge(reader.latents, reading.embedding, named, top_k=top_k), recorder):
            self.base(**self.speech.encode(reading.texts), use_cache=False)

    @property
    def _top_k(self) -> int:
        return AdapterConfig.top_k if self.adapter is None else self.adapter.config.top_k
