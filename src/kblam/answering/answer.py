"""What comes back from a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kblam.knowledge import Triple

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Answer", "Citation", "cited"]

MOST_CITATIONS = 5
WORTH_CITING = 0.01


@dataclass(frozen=True)
class Citation:
    """A fact the answer rests on and its share of the attention."""

    triple: Triple
    weight: float
    """Between 0 and 1; the weights of all facts and of "none of these" sum to one."""


@dataclass(frozen=True)
class Answer:
    """An answer, or the refusal to give one."""

    question: str
    text: str
    refused: bool
    """True when nothing in the knowledge base answers the question."""
    citations: tuple[Citation, ...]
    """The facts that the answer rests on, and then those attended to most, best first; what a refusal looked at is here too."""
    corrected: bool
    """True when the model misquoted and the stored value was put in place of its words."""
    confidence: float
    """Calibrated probability that the knowledge base answers the question."""
    grounding: str
    """`quote` or `tokens`."""
    rows: int
    """Facts in the knowledge base."""
    version: int
    """Version of the knowledge base."""
    model: str
    resting: int = 0
    """On how many of the citations, the first ones, the answer rests; 0 for a refusal."""

    def to_json(self) -> dict[str, Any]:
        """The answer as plain data, the form that `kblam ask --json` prints."""
        citations = [
            {
                "entity": citation.triple.entity,
                "property": citation.triple.property,
                "value": citation.triple.value,
                "weight": round(citation.weight, 4),
            }
            for citation in self.citations
        ]
        return {
            "question": self.question,
            "answer": self.text,
            "refused": self.refused,
            "corrected": self.corrected,
            "confidence": round(self.confidence, 4),
            "citations": citations,
            "knowledge": {"rows": self.rows, "version": self.version},
            "grounding": self.grounding,
            "model": self.model,
        }

    def __str__(self) -> str:
        return self.text


def cited(weights: Tensor, first: list[int], triples: Sequence[Triple]) -> tuple[Citation, ...]:
    """The rows that an answer rests on, then whatever else was attended to noticeably."""
    order = weights.topk(min(MOST_CITATIONS, len(weights))).indices.tolist() if len(weights) else []
    rows = dict.fromkeys([*first, *(row for row in order if float(weights[row]) >= WORTH_CITING)])
    return tuple(Citation(triples[row], float(weights[row])) for row in rows)
