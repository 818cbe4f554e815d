"""A question in a conversation: what it leaves to an earlier one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kblam.answering.pronouns import goes_back, named
from kblam.answering.reader import Reader

__all__ = ["in_conversation"]

END = re.compile(r"[\s?？.。!！]*$")
MOST_EARLIER = 10
"""Questions that are looked back at."""


def in_conversation(reader: Reader, question: str, earlier: Sequence[str]) -> str:
    """The question with the thing that the latest of the earlier ones names in place of `it`, `her` ...; as it is where it names
    one itself, or they do not."""
    if not earlier or not goes_back(question) or reader.things_in(question):
        return question
    for text in reversed(earlier[-MOST_EARLIER:]):
        if things := reader.things_in(text):
            return f"{named(END.sub('', question), things[-1])}?"
    return question
