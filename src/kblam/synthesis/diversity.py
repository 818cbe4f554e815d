"""How varied a dataset is, in three numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kblam.synthesis.dataset import Entry

__all__ = ["Diversity", "diversity"]

_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True)
class Diversity:
    """What `diversity` counted; as text, a few lines."""

    facts: int
    entities: int
    properties: int
    values: int
    questions: dict[str, int]
    """By kind."""
    repeated: dict[str, float]
    """Share of a question's words (characters in Chinese and Japanese) that stand in its fact's key, by kind."""

    def __str__(self) -> str:
        asked = ", ".join(f"{count:,} {kind}" for kind, count in self.questions.items())
        shares = ", ".join(f"{share:.2f} {kind}" for kind, share in self.repeated.items())
        return (
            f"{self.facts:,} facts about {self.entities:,} entities, {self.properties:,} distinct properties, "
            f"{self.values:,} distinct values\n{sum(self.questions.values()):,} questions: {asked}\n"
            f"share of question words that repeat the key: {shares}"
        )


def diversity(entries: Iterable[Entry]) -> Diversity:
    """Count what is distinct, and how much of each question repeats the key of the one fact it is about."""
    entries = list(entries)
    kinds: Counter[str] = Counter()
    words: Counter[str] = Counter()
    repeated: Counter[str] = Counter()
    for entry in entries:
        key = set(_WORD.findall(entry.fact.key_text.casefold()))
        for question in entry.questions:
            kinds[question.kind] += 1
            if question.facts == (entry.fact.identity,):
                asked = _WORD.findall(question.text.casefold())
                words[question.kind] += len(asked)
                repeated[question.kind] += sum(word in key for word in asked)
    facts = [entry.fact for entry in entries]
    return Diversity(
        facts=len(facts),
        entities=len({fact.entity for fact in facts}),
        properties=len({fact.property for fact in facts}),
        values=len({fact.value for fact in facts}),
        questions=dict(kinds.most_common()),
        repeated={kind: repeated[kind] / count for kind, count in words.most_common() if count},
    )
