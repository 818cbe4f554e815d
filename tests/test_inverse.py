"""Questions the other way round: they say a value and ask for the thing that has it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from fact_reader import reader_of

from kblam import KBLaM, KnowledgeBase, Triple
from kblam.answering.beside import MOST_INVERSE, MOST_PATHS, twins
from kblam.answering.evidence import evidence, ways
from kblam.answering.forms import MOST_LISTED, answering_rows, form_asked, in_form, listed
from kblam.answering.pairs import MOST_PAIRED
from kblam.answering.reader import Reader
from kblam.answering.statements import fact_text
from kblam.models.refusal import BY_VALUE
from kblam.naming.lookup import Lookup
from kblam.naming.values import Values
from kblam.training.inverse_questions import turned_round
from kblam.training.worlds import read_worlds

FACTS = [
    Triple("Maria Lopez", "extension", "2201"),
    Triple("Maria Lopez", "department", "Finance"),
    Triple("Maria Lopez", "speaks", "Spanish, Portuguese and Basque"),
    Triple("Tom Baker", "extension", "2207"),
    Triple("Tom Baker", "department", "Sales"),
    Triple("Aiko Tanaka", "department", "Finance"),
    Triple("Project Kestrel", "lead", "Tom Baker"),
    Triple("Project Kestrel", "deadline", "14 March 2027"),
    Triple("Tern", "description", "our message queue, written by Ilse Brandt"),
    Triple("Omar Haddad", "department", "IT"),
]


def values_said(question: str, facts: Sequence[Triple] = FACTS) -> dict[str, list[int]]:
    return {question[found.start : found.end]: list(found.rows) for found in Values(facts).said(question)}


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Whose extension is 2201?", {"2201": [0]}),
        ("who is in finance", {"finance": [1, 5]}),
        ("Who speaks Portuguese?", {"Portuguese": [2]}),
        ("What is due on 14 March 2027", {"14 March 2027": [7]}),
        ("What is due on 14 March?", {}),
        ("Which project does Tom Baker lead?", {"Tom Baker": [6]}),
        ("Is it A-2201 or 2201-7?", {}),
        ("Whose is extension:2201", {"2201": [0]}),
        ("Who is in IT?", {"IT": [9]}),
        ("is it so?", {}),
        ("It is IT, is it?", {"IT": [9]}),
        ("Who is it?", {}),
    ],
)
def test_values_and_items_of_lists_are_found_in_questions(question: str, said: dict[str, list[int]]) -> None:
    assert values_said(question) == said


def test_chinese_and_japanese_values_need_two_characters() -> None:
    facts = [Triple("会议室", "颜色", "红"), Triple("王磊", "部门", "财务部"), Triple("料理", "食材", "米、味噌")]
    assert values_said("财务部的红人是谁", facts) == {"财务部": [1]}
    assert values_said("味噌を使うのは？", facts) == {"味噌": [2]}


def test_what_says_nothing_is_no_value_to_look_for() -> None:
    facts = [Triple("Pool", "open", "yes"), Triple("Pool", "note", "-"), Triple("Pool", "size", "1,250 m and 3 lanes")]
    assert values_said("yes - is it 250 m, or 1,250 m?", facts) == {"1,250 m": [2]}
    facts = [
        Triple("Ann", "born", "12/05/1990"),
        Triple("Shop", "street", "和平路"),
        Triple("Dish", "of", "苹果和香梨"),
    ]
    assert values_said("12 平路 苹果 12/05/1990", facts) == {"苹果": [2], "12/05/1990": [0]}


def test_values_follow_changes_as_if_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kblam.naming.lookup.MOST_CHANGES", 3)
    draw, words = random.Random(3), ["red", "green", "blue", "2201", "two, three"]
    versions = [
        [Triple(f"thing {row}", "is", draw.choice(words)) for row in range(draw.randint(0, 6))] for _ in range(40)
    ]
    values = Values(versions[0])
    for before, after in pairwise(versions):
        most, least = sorted((len(before), len(after)))[::-1]
        differing = {row for row in range(least) if before[row] != after[row]}
        values = values.changed(after, differing)
        for word in [*words, "two", "three"]:
            assert values.said(word) == Values(after).said(word), (word, most)


def test_a_lookup_keeps_no_keys_without_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kblam.naming.lookup.MOST_CHANGES", 1)
    before, after = [Triple("a", "p", "1"), Triple("b", "p", "2")], [Triple("c", "p", "1")]
    lookup = Lookup(before, lambda fact: [fact.entity]).changed(before, after, {0, 1})
    assert lookup.rows == {"c": (0,)} and lookup.changes == {} and lookup.of("a") == ()


def test_rows_that_share_a_value_are_changed_at_once() -> None:
    before = [Triple(f"thing {row}", "is", "active") for row in range(300)]
    after = [*before[:100], Triple("thing 100", "is", "gone"), *before[101:], Triple("new", "is", "active")]
    lookup = Lookup(before, lambda fact: [fact.value]).changed(before, after, {100, 300})
    assert lookup.of("active") == tuple(row for row in range(301) if row != 100) and lookup.of("gone") == (100,)


def reading(
    logit: Callable[[str, str], float], facts: Sequence[Triple] = FACTS
) -> tuple[Reader, list[tuple[str, str]]]:
    return reader_of(facts, logit)


def test_rows_whose_value_is_said_are_read_beside_those_that_a_question_names() -> None:
    lead = fact_text(FACTS[6])
    reader, read = reading(lambda asked, fact: 6.0 if fact == lead else -2.0)
    asked = reader.read(["Which project does Tom Baker lead?"])
    assert {lead, fact_text(FACTS[3]), fact_text(FACTS[4])} <= {fact for _, fact in read}
    assert reader.scores(asked)[0].argmax() == 6
    assert form_asked(reader, asked, 0, 6) == "thing" and ways(reader, asked, [6]).tolist() == [BY_VALUE]
    # It leads over the rows of Tom Baker, too.
    assert evidence(reader, asked, [6])[0, -5:-3].tolist() == [6, 8]


def test_a_question_about_a_named_thing_asks_for_what_it_has() -> None:
    reader, _ = reading(lambda asked, fact: 6.0 if "2207" in fact else -2.0)
    asked = reader.read(["What is the extension of Tom Baker?", "Is Tom Baker in Finance?"])
    assert reader.scores(asked)[0].argmax() == 3 and form_asked(reader, asked, 0, 3) == "value"
    assert ways(reader, asked, [3, 4]).tolist() == [2, 2]
    (name,) = asked.said[1]  # a thing is named, so Finance is not what is asked about
    assert name.rows == (6,)
    assert reader.read(["Is Aiko Tanaka in Finance?", "Is Aiko Tanakka in Finance?"]).said == ((), ())


def test_one_row_of_each_property_stands_for_those_that_say_the_same() -> None:
    facts = [Triple(f"Person {number}", "department", "Finance") for number in range(30)]
    facts += [Triple(f"Report {number}", f"filed {number}", "Finance") for number in range(9)]
    reader, read = reading(lambda asked, fact: 5.0 if "department" in fact else -5.0, facts)
    asked = reader.read(["Whose department is Finance?"])
    assert len(read) <= MOST_PAIRED + MOST_INVERSE
    rows, scores = asked.bonuses[0]
    assert set(range(30)) <= set(rows.tolist()) and len(set(scores[rows < 30].tolist())) <= MOST_PAIRED + MOST_INVERSE
    best = int(reader.scores(asked)[0].argmax())
    assert best < 30 and sorted(answering_rows(reader, asked, 0, best)) == list(range(30))


def test_who_has_either_value_or_both() -> None:
    speaks = ["Spanish", "Spanish, Basque", "Basque", "Dutch"]
    facts = [Triple(f"Person {number}", "speaks", value) for number, value in enumerate(speaks)]
    reader, _ = reading(lambda asked, fact: 5.0, facts)
    both, either, one = (
        reader.read([f"Who speaks {said}?"]) for said in ("Spanish and Basque", "Spanish or Basque", "Basque")
    )
    assert twins(reader.names, both, 0, 1) == [1]
    assert sorted(twins(reader.names, either, 0, 0)) == [0, 1, 2] and sorted(twins(reader.names, one, 0, 2)) == [1, 2]


def test_of_very_many_all_are_counted() -> None:
    facts = [Triple(f"Person {number}", "floor", "second") for number in range(300)]
    reader, read = reading(lambda asked, fact: 5.0, facts)
    asked = reader.read(["Who is on the second floor?"])
    best = int(reader.scores(asked)[0].argmax())
    evidence(reader, asked, [best])
    assert len(read) <= MOST_PAIRED + MOST_INVERSE + MOST_PATHS
    rows = answering_rows(reader, asked, 0, best)
    assert rows[0] == best and len(rows) == 300 and listed([facts[row] for row in rows]).endswith("(+280)")


def test_of_what_says_the_same_only_what_answers_is_listed() -> None:
    facts = [Triple("Printer LX-300", "toner", "TN-3512"), Triple("Fax 12", "toner", "TN-3512")]
    reader, _ = reading(lambda asked, fact: 5.0 if "Printer" in fact else -1.0, facts)
    asked = reader.read(["What prints with TN-3512?"])
    assert answering_rows(reader, asked, 0, 0) == (0,)


@pytest.mark.parametrize(
    ("question", "row", "form"),
    [
        ("Who speaks Portuguese?", 2, "thing"),
        ("What has to be done in March?", 7, "both"),
        ("What did Ilse write?", 8, "both"),
        ("What is Tern?", 8, "value"),
        ("who answers the phone", 0, "value"),
        ("is Lopez in Finance", 1, "both"),
    ],
)
def test_what_is_asked_for(question: str, row: int, form: str) -> None:
    reader, _ = reading(lambda asked, fact: 0.0)
    assert form_asked(reader, reader.read([question]), 0, row) == form


def test_forms_of_answers() -> None:
    fact = FACTS[7]
    assert in_form("14 March 2027", fact, "both") == "Project Kestrel: 14 March 2027"
    assert in_form("The deadline of Project Kestrel is 14 March 2027.", fact, "both").startswith("The deadline")
    assert in_form("14 March 2027", fact, "value") == "14 March 2027"
    assert (
        in_form("微软开发的工具", Triple("KBLaM", "description", "微软开发的工具"), "both") == "KBLaM：微软开发的工具"
    )
    assert listed([FACTS[0], FACTS[1], FACTS[3]]) == "Maria Lopez, Tom Baker"
    assert listed([Triple("王磊", "部门", "财务部"), Triple("李娜", "部门", "财务部")]) == "王磊、李娜"
    many = [Triple(f"Person {number}", "department", "Finance") for number in range(MOST_LISTED + 3)]
    assert listed(many).endswith(f"Person {MOST_LISTED - 1} (+3)")


def test_a_model_answers_with_the_things_and_cites_the_facts() -> None:
    model = KBLaM.from_pretrained("default").attach(KnowledgeBase.from_triples(FACTS))
    who, several, project, own = model.ask(
        [
            "Whose extension is 2201?",
            "Who works in Finance?",
            "Which project does Tom Baker lead?",
            "What is Tom Baker's extension?",
        ]
    )
    assert (who.text, who.citations[0].triple, who.corrected) == ("Maria Lopez", FACTS[0], False)
    assert several.text == "Maria Lopez, Aiko Tanaka"
    assert {FACTS[1], FACTS[5]} <= {citation.triple for citation in several.citations}
    assert project.text == "Project Kestrel" and own.text.endswith("2207")
    assert model.ask("Whose extension is 2299?").refused


def test_worlds_are_asked_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "world.txt"
    lines = ["== World: staff"]
    for number, name in enumerate(("Ann", "Bo", "Cy")):
        lines += [f"@ {name}", f"extension = {2200 + number}", "floor = second", f"boss = {('Bo', 'Cy', 'Di')[number]}"]
    path.write_text("\n".join([*lines, "? Who is above Cy?"]), encoding="utf-8")
    (world,) = read_worlds(path)
    asked = turned_round(world, random.Random(0)).questions
    assert len(asked) == 7  # not the floor, which is everybody's; and Cy is a value, too
    for row, each in zip((0, 2, 3, 5, 6, 8), asked, strict=False):
        fact = world.facts[row]
        assert each.thing == fact.entity and fact.value.casefold() in each.text.casefold()
        assert each.row in (row, None) and row not in each.alike
    assert asked[6].thing == "Cy" and world.facts[asked[6].alike[0]].value == "Cy"
