"""Words as people write them: which are common, and which are short for others."""

from __future__ import annotations

from functools import cache
from pathlib import Path

__all__ = ["SHORT_FOR", "common"]

SHORT_FOR = dict(
    pair.split(":")
    for pair in (
        "admin:administration app:application apt:apartment bldg:building comms:communications dept:department dev:development "
        "exam:examination fridge:refrigerator gym:gymnasium info:information intro:introduction lab:laboratory labs:laboratories "
        "maths:mathematics med:medical op:operation ops:operations org:organisation phone:telephone photo:photograph "
        "physio:physiotherapy prep:preparation prod:production rehab:rehabilitation reps:representatives spec:spectrometer "
        "stats:statistics temp:temperature uni:university vet:veterinary"
    ).split()
)
"""Clipped words, which stand for the whole ones in names: the cold lab is the Cold Laboratory."""


def common(word: str) -> bool:
    """Whether ordinary questions have this casefolded word: tower and kiosk, but not halloran."""
    return word in _words()


@cache
def _words() -> frozenset[str]:
    path = Path(__file__).with_name("common_words.txt")
    return frozenset(path.read_text(encoding="utf-8").split())
