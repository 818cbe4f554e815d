"""Build the real-world evaluation set (facts and questions) from the tables beside this file."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
TABLES = HERE / "tables"
ENTITY_TABLES = (
    "countries", "elements", "compounds", "rivers", "mountains", "cities", "lakes", "planets", "programming_languages",
    "novels", "people", "languages", "paintings", "units", "music", "protocols", "minerals",
)  # fmt: skip
LOWERCASE_TABLES = {"elements", "compounds", "minerals"}  # common nouns: stored "Tungsten", asked about as "tungsten"
PERSON_PROPERTIES = {
    "discoverer", "designer", "author", "main character", "painter", "namesake", "composer", "head of state",
    "first climber", "mayor", "spouse", "inventor", "librettist", "dedicatee",
}  # fmt: skip
PLURAL_PROPERTIES = {"bordering countries", "fish species", "dimensions"}
HELD_OUT_SHARE = 0.1
PLAIN = 360
PARAPHRASED = 360
TWO_PLAIN = 25  # of each of the three forms
TWO_PARAPHRASED = 30  # of each of the two forms
UNANSWERABLE = 80  # of each of: missing entity or property, plain or paraphrased

Row = dict[str, object]


class Fact(NamedTuple):
    """One cell of a table; `ask` is how a question names the entity."""

    table: str
    entity: str
    ask: str
    property: str
    value: str


def digest(text: str) -> str:
    """Give the order of everything that looks random here: it is the same in every Python version."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def read_table(name: str) -> list[dict[str, str]]:
    """Read one tab-separated table as a list of rows."""
    with (TABLES / f"{name}.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def read_facts(table: str) -> list[Fact]:
    """Read the filled cells of one entity table."""
    facts = []
    for row in read_table(table):
        entity = row["entity"]
        ask = row["ask"] or (entity.lower() if table in LOWERCASE_TABLES else entity)
        cells = [(key, value) for key, value in row.items() if key not in ("entity", "ask") and value]
        facts += [Fact(table, entity, ask, key, value) for key, value in cells]
    return facts


def split_facts() -> tuple[list[Fact], list[Fact]]:
    """Read every table and hold out about a tenth of its entities: (known facts, facts of held-out entities)."""
    known: list[Fact] = []
    held_out: list[Fact] = []
    for table in ENTITY_TABLES:
        facts = read_facts(table)
        entities = sorted({fact.entity for fact in facts}, key=lambda entity: digest(f"hold out {table} {entity}"))
        left_out = set(entities[: max(1, round(len(entities) * HELD_OUT_SHARE))])
        for fact in facts:
            (held_out if fact.entity in left_out else known).append(fact)
    return known, held_out


def spread(facts: Iterable[Fact], seed: str) -> Iterator[Fact]:
    """Yield the facts in a fixed shuffled order that takes one of each property in turn."""
    groups: dict[tuple[str, str], list[Fact]] = {}
    for fact in sorted(facts, key=lambda fact: digest(f"{seed} {fact.entity} {fact.property}")):
        groups.setdefault((fact.table, fact.property), []).append(fact)
    queues = [iter(groups[key]) for key in sorted(groups, key=lambda key: digest(f"{seed} {key}"))]
    while queues:
        taken = [(queue, next(queue, None)) for queue in queues]
        yield from (fact for _, fact in taken if fact is not None)
        queues = [queue for queue, fact in taken if fact is not None]


class Wording:
    """The hand-written templates; each use of one takes the next, so that all are used."""

    def __init__(self) -> None:
        forms: dict[str, list[str]] = {}
        for row in read_table("plain"):
            forms.setdefault(row["form"], []).append(row["template"])
        self.forms = {form: cycle(templates) for form, templates in forms.items()}
        paraphrases: dict[tuple[str, str], list[str]] = {}
        for row in read_table("paraphrases") + read_table("missing"):
            paraphrases.setdefault((row["table"], row["property"]), []).append(row["template"])
        self.paraphrases = {key: cycle(templates) for key, templates in paraphrases.items()}

    def plain(self, fact: Fact) -> str:
        """Ask for a fact by the name of its property."""
        form = "person" if fact.property in PERSON_PROPERTIES else "thing"
        form = "plural" if fact.property in PLURAL_PROPERTIES else form
        return fill(next(self.forms[form]), p=fact.property, e=fact.ask)

    def paraphrased(self, fact: Fact) -> str:
        """Ask for a fact without the words of its property."""
        return fill(next(self.paraphrases[fact.table, fact.property]), e=fact.ask)

    def two_plain(self, form: str, first: Fact, second: Fact) -> str:
        """Ask for two facts by the names of their properties."""
        template = next(self.forms[form])
        while template.startswith("What") and {first.property, second.property} & PERSON_PROPERTIES:
            template = next(self.forms[form])
        return fill(template, p1=first.property, e1=first.ask, p2=second.property, e2=second.ask)

    def two_paraphrased(self, first: Fact, second: Fact) -> str:
        """Join two paraphrased questions into one."""
        head, tail = self.paraphrased(first), self.paraphrased(second)
        tail = tail[0].lower() + tail[1:]
        return next(self.forms["joined"]).format(head=head.removesuffix("?"), tail=tail)


def fill(template: str, **words: str) -> str:
    """Put words into a template, with the right possessive and a capital at the start."""
    for name, word in words.items():
        possessive = f"{word}'" if word.endswith("s") else f"{word}'s"
        template = template.replace(f"{{{name}}}'s", possessive).replace(f"{{{name}}}", word)
    return template[0].upper() + template[1:]


def question(text: str, kind: str, facts: Sequence[Fact], reason: str = "", phrasing: str = "") -> Row:
    """Give one line of questions.jsonl: `facts` answer it, or, with a reason, `asked` is what the knowledge lacks."""
    identities = [[fact.entity, fact.property] for fact in facts]
    if not reason:
        return {"question": text, "kind": kind, "facts": identities}
    return {"question": text, "kind": kind, "facts": [], "reason": reason, "phrasing": phrasing, "asked": identities}


def same_entity_pairs(facts: Sequence[Fact], seed: str) -> Iterator[tuple[Fact, Fact]]:
    """Pair each fact with another fact of its entity, no pair twice."""
    by_entity: dict[str, list[Fact]] = {}
    for fact in facts:
        by_entity.setdefault(fact.entity, []).append(fact)
    seen: set[frozenset[Fact]] = set()
    for fact in spread(facts, seed):
        others = [other for other in by_entity[fact.entity] if other != fact]
        if not others:
            continue
        other = min(others, key=lambda other: digest(f"{seed} {fact.property} {other.property} {fact.entity}"))
        if frozenset((fact, other)) not in seen:
            seen.add(frozenset((fact, other)))
            yield fact, other


def other_entity_pairs(facts: Sequence[Fact], seed: str, same_property: bool) -> Iterator[tuple[Fact, Fact]]:
    """Pair each fact with a fact of another entity, of the same property of the same table or of any other property."""
    seen: set[frozenset[Fact]] = set()
    for fact in spread(facts, seed):
        others = [
            other
            for other in facts
            if other.entity != fact.entity
            and ((other.table, other.property) == (fact.table, fact.property)) == same_property
            and other.value != fact.value
        ]
        if not others:
            continue
        other = min(others, key=lambda other: digest(f"{seed} {fact.entity} {other.entity} {other.property}"))
        if frozenset((fact, other)) not in seen:
            seen.add(frozenset((fact, other)))
            yield fact, other


def single_questions(known: Sequence[Fact], wording: Wording) -> Iterator[Row]:
    """Yield the plain and the paraphrased questions about one fact."""
    for fact in islice(spread(known, "plain"), PLAIN):
        yield question(wording.plain(fact), "plain", [fact])
    for fact in islice(spread(known, "paraphrased"), PARAPHRASED):
        yield question(wording.paraphrased(fact), "paraphrased", [fact])


def two_fact_questions(known: Sequence[Fact], wording: Wording) -> Iterator[Row]:
    """Yield the questions about two facts: of one entity, of two entities, and one property of two entities."""
    forms = {
        "one_entity": same_entity_pairs(known, "one entity"),
        "two_entities": other_entity_pairs(known, "two entities", same_property=False),
        "same_property": other_entity_pairs(
            [fact for fact in known if fact.property not in PLURAL_PROPERTIES], "same property", same_property=True
        ),
    }
    for form, pairs in forms.items():
        for first, second in islice(pairs, TWO_PLAIN):
            yield question(wording.two_plain(form, first, second), "two", [first, second])
    joined = [
        same_entity_pairs(known, "one entity, paraphrased"),
        other_entity_pairs(known, "two entities, paraphrased", same_property=False),
    ]
    for pairs in joined:
        for first, second in islice(pairs, TWO_PARAPHRASED):
            yield question(wording.two_paraphrased(first, second), "two", [first, second])


def missing_properties(known: Sequence[Fact]) -> list[Fact]:
    """Pair every known entity with each property that its table's `missing` rows name; the values are empty."""
    entities = {(fact.table, fact.entity, fact.ask) for fact in known}
    rows = sorted({(row["table"], row["property"]) for row in read_table("missing")})
    return [Fact(*entity, name, "") for table, name in rows for entity in sorted(entities) if entity[0] == table]


def unanswerable_questions(known: Sequence[Fact], held_out: Sequence[Fact], wording: Wording) -> Iterator[Row]:
    """Yield the questions whose fact is not in the knowledge."""
    for reason, facts in (("missing entity", held_out), ("missing property", missing_properties(known))):
        for phrasing, ask in (("plain", wording.plain), ("paraphrased", wording.paraphrased)):
            for fact in islice(spread(facts, f"{reason} {phrasing}"), UNANSWERABLE):
                yield question(ask(fact), "unanswerable", [fact], reason, phrasing)


def cjk_questions() -> list[Row]:
    """Read the Chinese and Japanese questions, which are written out by hand."""
    rows: list[Row] = []
    for row in read_table("cjk_questions"):
        facts = [pair.split("=") for pair in row["facts"].split(";")]
        start: Row = {"question": row["question"], "kind": row["kind"]}
        rest: Row = {"facts": [], "reason": row["reason"], "asked": facts} if row["reason"] else {"facts": facts}
        rows.append(start | rest)
    return rows


def build() -> dict[str, list[Row]]:
    """Build the four files: name to rows."""
    known, held_out = split_facts()
    wording = Wording()
    questions = [
        *single_questions(known, wording),
        *two_fact_questions(known, wording),
        *unanswerable_questions(known, held_out, wording),
    ]
    return {
        "knowledge.jsonl": [{"entity": f.entity, "property": f.property, "value": f.value} for f in known],
        "questions.jsonl": questions,
        "knowledge_cjk.jsonl": [dict(row) for row in read_table("cjk_facts")],
        "questions_cjk.jsonl": cjk_questions(),
    }


def as_text(rows: Iterable[Row]) -> str:
    """Write rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the four files into a directory (this one unless told otherwise)."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--output", type=Path, default=HERE)
    output: Path = parser.parse_args(argv).output
    output.mkdir(parents=True, exist_ok=True)
    for name, rows in build().items():
        part = output / f"{name}.part"
        part.write_bytes(as_text(rows).encode("utf-8"))
        part.replace(output / name)
        print(f"{name}: {len(rows)} rows")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
