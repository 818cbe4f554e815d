"""What encoders made of texts, kept for the next question that needs it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

__all__ = ["Kept"]

MOST_KEPT = 8192
"""Things of one kind that are kept."""

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class Kept(Generic[Key, Made]):
    """Makes things in batches when they are first asked for, and keeps them."""

    def __init__(self, make: Callable[[list[Key]], Iterable[Made]]) -> None:
        """make: called with the keys that are new, each once; returns what belongs to them, in their order."""
        self._make = make
        self._kept: dict[Key, Made] = {}

    def get(self, keys: Sequence[Key]) -> list[Made]:
        """What belongs to each key."""
        kept = self._kept  # never changed in place: other threads read it too
        fresh = [key for key in dict.fromkeys(keys) if key not in kept]
        made = dict(zip(fresh, self._make(fresh), strict=True)) if fresh else {}
        if made:
            self._kept = {**kept, **made} if len(kept) + len(made) <= MOST_KEPT else made
        return [made[key] if key in made else kept[key] for key in keys]
