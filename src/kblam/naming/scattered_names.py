"""Names whose words stand apart in a question, around a shorter name: flat 12 in Alder House, for Flat 12, Alder House."""

from __future__ import annotations

from collections.abc import Sequence

from kblam.naming.names import OPENERS, Mention, Names
from kblam.naming.question_words import Token, tokens_of
from kblam.naming.spellings import words

__all__ = ["longer_mention"]

JOINING = frozenset("of in at on the a an from for s".split())
"""Words that may stand between the words of a name."""


def longer_mention(question: str, mention: Mention, names: Names) -> Mention:
    """The mention of a name, or of a longer one that holds it and all of whose words the question says beside it.

    What a property of the shorter one is called is not taken for a part of a name.
    """
    about = {word for row in mention.rows for word in words(names.property_of(row).casefold())}
    rest = f"{question[: mention.start]} {question[mention.end :]}".casefold()
    if about.union(OPENERS).issuperset(words(rest)):
        return mention  # without an index of the words of all names
    tokens = tokens_of(question, names)
    inside = {token.word for token in tokens if mention.start <= token.start < mention.end}
    if not inside:
        return mention  # it is Chinese or Japanese, or a piece of a word
    said = {token.word for token in tokens}
    longer = {
        name: parts
        for word in said - inside
        for name in names.with_word(word)
        if inside < (parts := set(words(name))) <= said and not parts - inside <= about
    }
    most = max(map(len, longer.values()), default=0)
    best = [name for name, parts in longer.items() if len(parts) == most]
    things = {names.rows_named(name) for name in best}
    if len(things) != 1:
        return mention
    span = _span(tokens, mention, longer[best[0]])
    return mention if span is None else Mention(*span, things.pop(), mention.similarity)


def _span(tokens: Sequence[Token], mention: Mention, parts: set[str]) -> tuple[int, int] | None:
    """From the first to the last of a name's words around a mention; None if words of another kind stand among them."""
    inside = [at for at, token in enumerate(tokens) if mention.start <= token.start < mention.end]
    places = list(inside)
    for word in parts - {tokens[at].word for at in inside}:
        where = [at for at, token in enumerate(tokens) if token.word == word]
        places.append(min(where, key=lambda at: min(abs(at - other) for other in inside)))
    between = tokens[min(places) : max(places) + 1]
    if any(token.word not in parts | JOINING for token in between):
        return None
    return between[0].start, between[-1].end
