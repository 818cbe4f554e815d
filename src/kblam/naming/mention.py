"""Where a question names a thing."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Mention"]


@dataclass(frozen=True)
class Mention:
    """A name found in a question: where it stands, and the rows of the entity."""

    start: int
    end: int
    rows: tuple[int, ...]
    similarity: float = 1.0
    """1 for the name as it is written, less for a misspelt one."""
    partial: bool = False
    """Whether a part of the name is said."""

    def covers(self, other: Mention) -> bool:
        """Whether the other one lies within this one."""
        return self.start <= other.start and other.end <= self.end
