"""A question in a conversation: what it leaves to an earlier one."""

from __future__ import annotations

from collections.abc import Sequence

from kblam.answering.pronouns import goes_back, named
from kblam.answering.reader import Reader

__all__ = ["in_conversation"]

END = " \t\r\n?？.。!！"
MOST_EARLIER = 10
"""Questions that are looked back at."""
LONGEST = 1000
"""Characters of those that are; in a longer text a name is seldom what it is about."""


def in_conversation(reader: Reader, question: str, earlier: Sequence[str]) -> str:
    """The question with the thing that the latest of the earlier ones names in place of `it`, `her` ...; as it is where it names
    one itself, or they do not."""
    if not earlier or not goes_back(question) or reader.things_in(question):
        return question
    for text in reversed(earlier[-MOST_EARLIER:]):
        if len(text) <= LONGEST and (things := reader.things_in(text)):
            return f"{named(question.rstrip(END), things[-1])}?"
    return question
