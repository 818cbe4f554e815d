"""A fact: an entity, a property and the property's value."""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass, replace

from kblam.errors import KnowledgeError

__all__ = ["MAXIMUM_CHARACTERS", "Triple", "checked_text", "trusted_triple"]

MAXIMUM_CHARACTERS = 100_000

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


def checked_text(text: object, field: str) -> str:
    """Return the text without surrounding white space.

    Raises KnowledgeError, naming the field, when it is missing, not a text, empty, longer than 100,000 characters, or
    holds a character that no UTF-8 text file can carry (half a surrogate pair, U+0000).
    """
    if text is None:
        raise KnowledgeError(f"{field} is missing")
    if not isinstance(text, str):
        raise KnowledgeError(f"{field} is {_KINDS.get(type(text), 'a ' + type(text).__name__)}, not a text")
    text = text.strip()
    if not text:
        raise KnowledgeError(f"{field} is empty")
    if len(text) > MAXIMUM_CHARACTERS:
        raise KnowledgeError(
            f"{field} has {len(text):,} characters, {MAXIMUM_CHARACTERS:,} are allowed: split it into several facts"
        )
    if _UNSTORABLE.search(text):
        raise KnowledgeError(f"{field} holds U+0000 or half a surrogate pair, which no text file can carry")
    return text


@dataclass(frozen=True, slots=True)
class Triple:
    """One fact, its texts stripped and checked; (entity, property) identifies it.

    Raises KnowledgeError when a text is missing, empty or longer than 100,000 characters.
    """

    entity: str
    property: str
    value: str
    aliases: tuple[str, ...] = ()
    """Other names of the entity, without repetition."""
    id: str | None = None
    """The row's name in the place it came from, if it has one."""

    def __post_init__(self) -> None:
        for field in ("entity", "property", "value"):
            object.__setattr__(self, field, checked_text(getattr(self, field), field))
        if isinstance(self.aliases, str):
            raise KnowledgeError("aliases is one text, not a list of texts")
        aliases = dict.fromkeys(checked_text(alias, "an alias") for alias in self.aliases)
        object.__setattr__(self, "aliases", tuple(aliases))
        if self.id is not None:
            object.__setattr__(self, "id", checked_text(self.id, "id"))

    @builtins.property  # the field above hides the short name inside this class
    def identity(self) -> tuple[str, str]:
        """(entity, property): two facts with the same identity are two versions of one fact."""
        return self.entity, self.property

    @builtins.property
    def key_text(self) -> str:
        """The text whose embedding is the fact's key."""
        return f"the {self.property} of {self.entity}"

    @builtins.property
    def value_text(self) -> str:
        """The text whose embedding is the fact's value."""
        return self.value

    def with_names_of(self, held: Triple | None, aliases: bool, id: bool) -> Triple:
        """Return the fact with the aliases, the id or both of the one that is held, if one is."""
        if held is None:
            return self
        return replace(self, aliases=held.aliases if aliases else self.aliases, id=held.id if id else self.id)


def trusted_triple(entity: str, attribute: str, value: str, aliases: tuple[str, ...], id: str | None) -> Triple:
    """Return a fact whose texts were checked when they were stored: four times quicker for a million of them."""
    triple = object.__new__(Triple)
    assign = object.__setattr__
    assign(triple, "entity", entity)
    assign(triple, "property", attribute)
    assign(triple, "value", value)
    assign(triple, "aliases", aliases)
    assign(triple, "id", id)
    return triple
