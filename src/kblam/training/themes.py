"""Facts by what kind of thing they are about: what is easily taken for each other is learnt side by side."""

from __future__ import annotations

from kblam.synthesis.properties import CHINESE_PROPERTIES, JAPANESE_PROPERTIES, PROPERTIES
from kblam.training.questions import Practice

__all__ = ["UNKNOWN", "Themes", "by_theme"]

Themes = list[list[list[int]]]
"""For each kind of thing its entities, and for each entity its rows."""

UNKNOWN = 8
"""So many entities whose properties are in no table are taken for things of a kind."""


def by_theme(practice: Practice) -> Themes:
    """The rows of each entity, by what kind of thing it is and the language of its properties."""
    tables = enumerate((PROPERTIES, CHINESE_PROPERTIES, JAPANESE_PROPERTIES))
    theme_of = {item.name: (language, item.theme) for language, table in tables for item in table}
    themes: dict[tuple[int, str], list[list[int]]] = {}
    for number, group in enumerate(practice.by_entity()):
        unknown = (-1, str(number // UNKNOWN))
        themes.setdefault(theme_of.get(practice.facts[group[0]].property, unknown), []).append(group)
    return list(themes.values())
