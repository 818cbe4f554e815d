"""What facts say without the names of the things that have them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from kblam.answering import kept
from kblam.answering.statements import SILENT, Statements, statement

AXES = {"the capital of it": 0, "the area of it": 1, "the anthem of it": 2}
asked: list[str] = []


def encode(texts: Sequence[str]) -> Tensor:
    asked.extend(texts)
    return 2 * torch.eye(3)[[AXES[text] for text in texts]]


def test_a_property_leads_by_as_much_as_the_question_fits_it_better() -> None:
    known = Statements(encode)
    counts = Counter({"capital": 5, "area": 2, "anthem": 1})
    directions = torch.tensor([[3.0, 1.0, 0.5], [3.0, 1.0, 4.0]])
    lead = known.lead(directions, ["capital", "area"], counts)
    torch.testing.assert_close(lead, torch.tensor([2.0, -3.0]))


def test_a_lonely_property_says_nothing() -> None:
    known = Statements(encode)
    lead = known.lead(torch.tensor([[3.0, 1.0, 0.5]]), ["capital"], Counter({"capital": 5}))
    assert lead.tolist() == [SILENT]


def test_each_statement_is_embedded_once() -> None:
    asked.clear()
    known = Statements(encode)
    capital, area, anthem = AXES
    known.embed([capital, area, capital])
    torch.testing.assert_close(known.embed([area, anthem]), torch.eye(3)[1:])
    assert asked == list(AXES)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_KEPT", 2)
    asked.clear()
    known = Statements(encode)
    capital, area, anthem = AXES
    known.embed([capital, area])
    torch.testing.assert_close(known.embed([capital, anthem]), torch.eye(3)[[0, 2]])
    known.embed([anthem])
    assert asked == list(AXES)
    known.embed([capital])
    assert asked == [*AXES, capital]


def test_a_statement_is_what_a_fact_says_of_it() -> None:
    assert statement("capital") == "the capital of it"
    assert statement("capital", "Paris") == "the capital of it is Paris"
