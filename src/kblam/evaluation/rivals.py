"""BM25 and dense retrieval on the same facts and questions: their best row counts as their answer, copied perfectly."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kblam.errors import InputError
from kblam.extras import pip_install
from kblam.knowledge import KnowledgeBase
from kblam.synthesis.questions import is_cjk

__all__ = ["Found", "rivals"]

AT_ONCE = 64
"""Questions scored together, so that many of them over many facts fit into memory."""
_SCRIPT = re.compile(r"\w")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, eq=False)
class Found:
    """What a retriever found for n questions."""

    rows: NDArray[np.int64]
    """(n, k): rows, best first."""
    scores: NDArray[np.floating]
    """(n,): of the best one."""


def rivals(
    base: KnowledgeBase,
    questions: Sequence[str],
    count: int = 5,
    track: Callable[[Sequence[Any], str], Iterable[Any]] = lambda parts, what: parts,
) -> dict[str, Found]:
    """The best rows by the encoder of the knowledge base and by BM25; `track` shows progress.

    Raises InputError without bm25s (the extra `evaluation`).
    """
    asked = base.encoder.encode(list(questions))
    scorers = {"dense": _dense(base, asked), "BM25": _bm25(base, questions)}
    parts = [range(at, min(at + AT_ONCE, len(questions))) for at in range(0, len(questions), AT_ONCE)]
    return {
        name: _joined([_best(scores(part), count) for part in track(parts, f"Asking {name}")])
        for name, scores in scorers.items()
    }


Scores = Callable[[range], NDArray[np.floating]]
"""The scores of some of the questions, (n, M)."""


def _dense(base: KnowledgeBase, asked: NDArray[np.float32]) -> Scores:
    keys = np.asarray(base.keys, dtype=np.float32).T
    return lambda part: asked[part.start : part.stop] @ keys


def load_bm25() -> Any:
    """The class of BM25 indices; raises InputError without bm25s (the extra `evaluation`)."""
    try:
        from bm25s import BM25
    except ImportError as error:
        raise InputError(f"BM25 needs bm25s: run {pip_install('evaluation')}") from error
    return BM25


def _bm25(base: KnowledgeBase, questions: Sequence[str]) -> Scores:
    index = load_bm25()()
    index.index([_words(f"{fact.key_text} {fact.value}") for fact in base], show_progress=False)
    return lambda part: np.stack([index.get_scores(_words(questions[at])) for at in part])


def _joined(parts: Sequence[Found]) -> Found:
    return Found(np.concatenate([part.rows for part in parts]), np.concatenate([part.scores for part in parts]))


def _words(text: str) -> list[str]:
    return _SCRIPT.findall(text) if is_cjk(text) else _WORD.findall(text.lower())


def _best(scores: NDArray[np.floating], count: int) -> Found:
    count = min(count, scores.shape[1])
    some = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    order = np.take_along_axis(-scores, some, 1).argsort(1, kind="stable")
    return Found(np.take_along_axis(some, order, 1).astype(np.int64), scores.max(1))
