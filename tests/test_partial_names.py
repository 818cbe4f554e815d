"""Names of which a question says only a part."""

from __future__ import annotations

import pytest

from kblam import Triple
from kblam.naming.names import Names
from kblam.naming.partial_names import partial_mention

ENTITIES = (
    *(
        "IT department",
        "Project Kingfisher",
        "Project Heron",
        "Meeting room Fjord",
        "Moulding machine M4",
        "Moulding machine M5",
    ),
    *(
        "Class 5a",
        "Class 5b",
        "Bus line 12",
        "Mr Piotr Nowak",
        "Agnes Thornbury",
        "Wexcombe Town Library",
        "School library",
    ),
    *(
        "Wexcombe Town Hall",
        "Clockmakers' Museum",
        "Battle of Hastings",
        "Hubble Space Telescope",
        "York Minster",
        "北京大学",
    ),
)
NAMES = Names([Triple(entity, "phone", "1") for entity in ENTITIES])


def found(question: str, names: Names = NAMES) -> tuple[str, str] | None:
    mention = partial_mention(question, names)
    return None if mention is None else (question[mention.start : mention.end], ENTITIES[mention.rows[0]])


@pytest.mark.parametrize(
    ("question", "said", "entity"),
    [
        ("What are the helpdesk hours of IT?", "IT", "IT department"),
        ("how much money is there for kingfisher", "kingfisher", "Project Kingfisher"),
        ("Who is the sponsor of Kingfisher?", "Kingfisher", "Project Kingfisher"),
        ("There will be 12 of us on Tuesday in the room. Do we fit into Fjord?", "Fjord", "Meeting room Fjord"),
        ("which hall is moulder M5 standing in", "M5", "Moulding machine M5"),
        ("kingfisher phone?", "kingfisher", "Project Kingfisher"),
        ("I have joined Kingfisher. Kingfisher has which phone?", "Kingfisher", "Project Kingfisher"),
        ("We need 12 rooms from Fjord", "Fjord", "Meeting room Fjord"),
        ("Class teacher of 5a?", "5a", "Class 5a"),
        ("Can I take my bike on the number 12 bus?", "12 bus", "Bus line 12"),
        ("When can I see Mr Nowak?", "Nowak", "Mr Piotr Nowak"),
        ("Where does Dr. Thornbury leave her car?", "Thornbury", "Agnes Thornbury"),
        ("Until when is A. Thornbury employed?", "Thornbury", "Agnes Thornbury"),
        ("Anything Thornbury must not eat?", "Thornbury", "Agnes Thornbury"),
        ("Is Ms Thornbury ill?", "Thornbury", "Agnes Thornbury"),
        ("is the town library shut on mondays", "town library", "Wexcombe Town Library"),
        ("When do the M5s get oil?", "M5s", "Moulding machine M5"),
        ("What was wrong with Hubble's optics?", "Hubble", "Hubble Space Telescope"),
    ],
)
def test_a_part_that_fits_one_thing_means_it(question: str, said: str, entity: str) -> None:
    assert found(question) == (said, entity)


@pytest.mark.parametrize(
    "question",
    [
        "Where can I get it?",
        "What does the project cost?",
        "Who teaches class 5c?",
        "What is the budget of Project Osprey?",
        "When is the Fishermen's Museum open?",
        "Who won the Battle of Stamford Bridge?",
        "What is the population of New York?",
        "Who is Agnes Miller?",
        "How many of the 12 are left?",
        "Does the school trip of Ann Lee cost much?",
        "South Kingfisher's budget?",
        "what does the heron feather cost",
        "who owns the osprey heron",
        "the phone of the heron nest",
        "When did Mr Thomas Miller join?",
        "北京在哪里？",
        "",
    ],
)
def test_what_may_be_another_thing_is_not_guessed(question: str) -> None:
    assert found(question) is None


def test_a_part_that_is_written_like_a_name_may_mean_a_few_things() -> None:
    names = Names(
        [Triple(entity, "phone", "1") for entity in ("Luis Ferreira", "Transfer of Luis Ferreira", "Season 2024/25")]
    )
    mention = partial_mention("Where does Ferreira live?", names)
    assert mention is not None and mention.rows == (0, 1)
    mention = partial_mention("how did the season 24/25 end", names)
    assert mention is not None and mention.rows == (2,)
    assert partial_mention("where does ferreira live", names) is None
    mention = partial_mention("ferreira sponsor?", Names([Triple("Luis Ferreira", "sponsor", "Acme")]))
    assert mention is not None and mention.rows == (0,)
    mention = partial_mention("Ferreira's home?", names)
    assert mention is not None and mention.rows == (0, 1)
    mention = partial_mention(
        "ferreira fee?", Names([Triple("Luis Ferreira", "age", "9"), Triple("Ferreira deal", "fee", "1")])
    )
    assert mention is not None and mention.rows == (1,)
    many = Names([Triple(f"{name} Ferreira", "phone", "1") for name in ("Ana", "Bo", "Cy", "Di", "Ed")])
    assert partial_mention("Where does Ferreira live?", many) is None


def test_a_part_that_two_names_of_one_thing_have_means_it() -> None:
    facts = [
        Triple("Falcon Heavy", "height", "70 m", aliases=("Falcon rocket",)),
        Triple("Saturn V", "height", "111 m"),
    ]
    mention = partial_mention("How tall is the Falcon?", Names(facts))
    assert mention is not None and mention.rows == (0,)


def test_a_later_version_knows_its_names_alone() -> None:
    changed = [
        Triple("Meeting room Lagoon" if entity == "Meeting room Fjord" else entity, "phone", "1") for entity in ENTITIES
    ]
    later = NAMES.changed(changed, [ENTITIES.index("Meeting room Fjord")])
    assert found("Do we fit into Lagoon?", later) and not found("Do we fit into Fjord?", later)
    assert found("Do we fit into Fjord?") and not found("Do we fit into Lagoon?")
