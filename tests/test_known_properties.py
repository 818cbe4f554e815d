"""The properties of a knowledge base by themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from kblam.answering.known_properties import SILENT, KnownProperties

AXES = {"the capital of it": 0, "the area of it": 1, "the anthem of it": 2}
asked: list[str] = []


def encode(texts: Sequence[str]) -> Tensor:
    asked.extend(texts)
    return 2 * torch.eye(3)[[AXES[text] for text in texts]]


def test_a_property_leads_by_as_much_as_the_question_fits_it_better() -> None:
    known = KnownProperties(encode)
    counts = Counter({"capital": 5, "area": 2, "anthem": 1})
    directions = torch.tensor([[3.0, 1.0, 0.5], [3.0, 1.0, 4.0]])
    lead = known.lead(directions, ["capital", "area"], counts)
    torch.testing.assert_close(lead, torch.tensor([2.0, -3.0]))


def test_a_lonely_property_says_nothing() -> None:
    known = KnownProperties(encode)
    lead = known.lead(torch.tensor([[3.0, 1.0, 0.5]]), ["capital"], Counter({"capital": 5}))
    assert lead.tolist() == [SILENT]


def test_each_property_is_embedded_once() -> None:
    asked.clear()
    known = KnownProperties(encode)
    known.embed(["capital", "area", "capital"])
    known.embed(["area", "anthem"])
    assert asked == list(AXES)
