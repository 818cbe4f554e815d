"""How near a text is to what was expected, by its words: exact match, token F1, ROUGE; and intervals."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kblam.errors import InputError
from kblam.evaluation.intervals import Share
from kblam.extras import pip_install

__all__ = ["Mean", "Refusal", "exact_match", "mean", "refusal", "rouge", "token_f1", "words"]

SAMPLES = 1000
_WORD = re.compile(r"[\u3040-\u9fff]|[^\W_\u3040-\u9fff]+")
_ARTICLES = frozenset(("a", "an", "the"))
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(text: str) -> list[str]:
    """Lower-case words; a Chinese or Japanese character is a word of its own."""
    return _WORD.findall(text.lower())


def exact_match(text: str, references: Sequence[str]) -> bool:
    """Whether the text is one of the references, but for case, punctuation and articles (as SQuAD counts it)."""
    return _plain(text) in {_plain(reference) for reference in references}


def _plain(text: str) -> str:
    return " ".join(word for word in text.lower().translate(_PUNCTUATION).split() if word not in _ARTICLES)


def token_f1(text: str, references: Sequence[str]) -> float:
    """The best harmonic mean of precision and recall of words, over the references (as SQuAD counts it)."""
    return max((_f1(words(text), words(reference)) for reference in references), default=0.0)


def _f1(said: list[str], expected: list[str]) -> float:
    said, expected = ([word for word in some if word not in _ARTICLES] for some in (said, expected))
    common = sum((Counter(said) & Counter(expected)).values())
    return 2 * common / (len(said) + len(expected)) if common else 0.0


class _Words:
    """rouge-score's own tokenizer keeps a-z and digits only, which leaves nothing of other scripts."""

    def tokenize(self, text: str) -> list[str]:
        """Words of any script."""
        return words(text)


@cache
def _scorer() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise InputError(f"ROUGE needs rouge-score: run {pip_install('evaluation')}") from error
    return RougeScorer(["rouge1", "rougeL"], tokenizer=_Words())


def rouge(text: str, references: Sequence[str]) -> dict[str, float]:
    """F1 of ROUGE-1 and ROUGE-L, the best over the references, by the library rouge-score."""
    scores = [_scorer().score(reference, text) for reference in references]
    return {name: max((float(score[name].fmeasure) for score in scores), default=0.0) for name in ("rouge1", "rougeL")}


@dataclass(frozen=True)
class Mean:
    """A mean with its 95% interval; as text `0.953 (0.931-0.968)`."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})" if self.count else "-"


def mean(numbers: Sequence[float], seed: int = 0) -> Mean:
    """The mean, and where it lies in 95% of drawings with replacement.

    Of marks that are all 0 or 1 the Wilson interval, which has a width where all are right.
    """
    found = np.asarray(numbers, dtype=float)
    if len(found) and np.isin(found, (0.0, 1.0)).all():
        share = Share(int(found.sum()), len(found))
        return _held(share.value, *share.interval(), share.count)
    return _bootstrap(found, seed)


@dataclass(frozen=True)
class Refusal:
    """Refusing as the detection of unanswerable questions."""

    precision: Mean
    """Of what was refused, the share that had no answer."""
    recall: Mean
    """Of what had no answer, the share that was refused."""


def refusal(answerable: Sequence[bool], refused: Sequence[bool]) -> Refusal:
    """Precision and recall with their intervals; precision of nothing refused is a mean of nothing."""
    both = list(zip(answerable, refused, strict=True))
    precision = mean([float(not answer) for answer, refusing in both if refusing])
    return Refusal(precision, mean([float(refusing) for answer, refusing in both if not answer]))


def _bootstrap(found: NDArray[np.float64], seed: int) -> Mean:
    count = len(found)
    if count == 0:
        return Mean(0.0, 0.0, 0.0, 0)
    places = np.random.default_rng(seed).integers(0, count, (SAMPLES, count))
    low, high = np.quantile(found[places].mean(1), (0.025, 0.975))
    return _held(float(found.mean()), float(low), float(high), count)


def _held(value: float, low: float, high: float, count: int) -> Mean:
    """The mean with an interval that holds it, which rounding can deny (40 of 40 ends below 1)."""
    return Mean(value, min(low, value), max(high, value), count)
