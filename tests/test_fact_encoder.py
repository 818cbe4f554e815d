"""Whole questions and whole facts read together: what is meant where no name is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from fact_reader import reader_of
from tiny_encoder import MEAN, sentence_folder

from kblam import KnowledgeBase, Triple
from kblam.answering.evidence import confidence, described, evidence
from kblam.answering.pairs import MOST_PAIRED
from kblam.answering.reader import Reader, by_turns
from kblam.answering.statements import LONGEST_WHOLE, fact_text
from kblam.answering.vectors import Scan
from kblam.attention import approximate
from kblam.errors import ModelError
from kblam.knowledge import load_encoder
from kblam.knowledge.cross_encoder import CrossWeights
from kblam.knowledge.encoders import DEFAULT_ENCODER
from kblam.models.adapter import Adapter
from kblam.models.refusal import BESIDE, CROSS_EVIDENCE, EVIDENCE, FACT_EVIDENCE, WAYS, chances, way_called
from kblam.models.shipped import shipped_adapter

QUERY = "encoder.layer.0.attention.self.query"
FACTS = [
    Triple("Fire plan", "number to dial", "112"),
    Triple("Fire plan", "meeting point", "car park"),
    Triple("Amara Okafor", "on duty", "Sundays"),
    *(Triple(f"Shelf {number}", "colour", "grey") for number in range(12)),
]
FLAMES = "There are flames in the kitchen, what do I dial?"


def weights() -> CrossWeights:
    return CrossWeights({QUERY: (torch.randn(2, 16), torch.randn(16, 2))}, torch.randn(16), torch.tensor(0.5))


@pytest.fixture
def adapter(tmp_path: Path) -> Adapter:
    """The shipped one with a tiny random encoder of facts."""
    folder = sentence_folder(tmp_path / "tiny", ["Transformer", "Pooling", "Normalize"], MEAN, {"max_seq_length": 30})
    adapter = shipped_adapter()
    adapter.take_fact_encoder(str(folder), weights())
    assert adapter.name_bonus is not None
    adapter.name_bonus[4] = 2.0
    return adapter


def reading(
    adapter: Adapter, logit: Callable[[str, str], float], facts: Sequence[Triple] = FACTS
) -> tuple[Reader, list[tuple[str, str]]]:
    return reader_of(facts, logit, adapter)


def test_a_question_that_names_nothing_is_read_with_the_facts_it_resembles(adapter: Adapter) -> None:
    reader, read = reading(adapter, lambda asked, fact: 9.0 if "point" in fact else -3.0)
    asked = reader.read([FLAMES])
    assert asked.mentions == ((),) and len(read) == MOST_PAIRED
    assert {question for question, _ in read} == {FLAMES}
    assert "the number to dial of Fire plan is 112" in {fact for _, fact in read}
    assert reader.scores(asked)[0].argmax() == 1
    assert evidence(reader, asked, [1])[0, -6:].tolist() == [0, 9, 12, 0, 0, 0] and len(read) == MOST_PAIRED


def test_of_few_facts_the_last_ones_are_read_as_well(adapter: Adapter) -> None:
    facts = [*FACTS[3:], *FACTS[:3]]
    reader, read = reading(adapter, lambda asked, fact: 0.0, facts)
    reader.read([FLAMES])
    assert len(read) == MOST_PAIRED and fact_text(FACTS[0]) in {fact for _, fact in read}


@pytest.mark.parametrize("scan", ["exact", "int8", "ann"])
def test_what_is_only_described_is_read_beside_the_descriptions_that_say_so(
    adapter: Adapter, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approximate, "PROPOSED", 40)
    told = Triple("Sandpiper", "description", "a place to try things with pretend cards")
    facts = [*(Triple(f"Shelf {number}", "way to try", "grey") for number in range(300)), told]
    encoder = load_encoder(DEFAULT_ENCODER)
    reader = Reader(adapter, KnowledgeBase.from_triples(facts, encoder).snapshot(), encoder, scan)
    asked = "Where can I try things with pretend cards?"
    assert (reader.latents.index is not None) == (scan == "ann")
    (first, *_), *rest = reader.telling(reader.encode([asked]))
    assert facts[first] is told and not rest
    rows, _ = reader.read([asked]).bonuses[0]
    assert len(facts) - 1 in rows and len(rows) == MOST_PAIRED


def test_rows_of_two_kinds_take_turns() -> None:
    assert by_turns([1, 2, 3], [3, 4]) == [1, 3, 2, 4] and by_turns([], [5]) == [5]


def test_a_named_thing_stays_what_is_meant(adapter: Adapter) -> None:
    reader, read = reading(adapter, lambda asked, fact: 9.0 if "Shelf" in fact else 1.0 if "point" in fact else -1.0)
    asked = reader.read(["What is the truth about the Fire plan?"])
    assert {fact for _, fact in read} == {fact_text(fact) for fact in FACTS[:2]}
    assert reader.scores(asked)[0].argmax() == 1
    assert evidence(reader, asked, [0])[0, -6:].tolist() == [-1, 0, 0, 0, 0, 0]
    asked = reader.read(["What is the meeting point of the Fire plam in Loxley?"])
    assert asked.mentions[0][0].similarity < 1
    assert evidence(reader, asked, [1])[0, -6:].tolist() == [1, 0, 0, 1, 0, 0]  # Loxley


def test_a_thing_called_by_another_name_is_read_by_the_one_that_its_facts_have(adapter: Adapter) -> None:
    facts = [Triple("Fire plan", "meeting point", "gate 4", aliases=("Form F7",)), *FACTS[2:]]
    reader, read = reading(adapter, lambda asked, fact: 1.0, facts)
    asked = reader.read(["Whither says form F7?", "Whither says Form F8?", "Whither says the Fire plam?"])
    evidence(reader, asked, [0, 0, 0])
    assert asked.plain == ("Whither says Fire plan?", "Whither says Form F8?", "Whither says the Fire plan?")
    assert {question for question, _ in read} == set(asked.plain)


def test_of_names_that_overlap_the_longer_one_is_meant(adapter: Adapter) -> None:
    facts = [Triple(name, "rent", "1") for name in ("Flat 12", "Alder House", "Flat 12, Alder House")]
    reader, _ = reading(adapter, lambda asked, fact: 1.0, facts)
    asked = reader.read(["What is the rent of flat 12 in Alder House per month?"])
    assert asked.nameless == ("What is the rent of it per month?",)
    assert asked.plain == ("What is the rent of Flat 12, Alder House per month?",)


def test_only_what_is_named_exactly_is_certain(adapter: Adapter) -> None:
    assert adapter.refusal_weight is not None and adapter.refusal_bias is not None
    adapter.refusal_weight.zero_()
    adapter.refusal_bias.fill_(-5.0)
    reader, _ = reading(adapter, lambda asked, fact: 0.0)
    asked = reader.read([f"What is the meeting point of the {name}?" for name in ("fire plan", "Fire plam")])
    assert (confidence(reader, asked, [1, 1]) > 0.5).tolist() == [True, False]
    reader.fact_pairs = None
    adapter.take_fact_encoder(None, None)
    assert (confidence(reader, asked, [1, 1]) > 0.5).tolist() == [True, True]


def test_a_chinese_name_that_seems_to_go_on_is_not_certain(adapter: Adapter) -> None:
    assert adapter.refusal_weight is not None and adapter.refusal_bias is not None
    adapter.refusal_weight.zero_()
    adapter.refusal_bias.fill_(-5.0)
    facts = [Triple("北京", "人口", "2184"), Triple("上海大学", "人口", "4")]
    reader = Reader(
        adapter,
        KnowledgeBase.from_triples(facts, load_encoder(DEFAULT_ENCODER)).snapshot(),
        load_encoder(DEFAULT_ENCODER),
    )
    asked = reader.read(["北京有多少人口？", "北京大学有多少人口？"])
    assert (confidence(reader, asked, [0, 0]) > 0.5).tolist() == [True, False]
    assert evidence(reader, asked, [0, 0])[:, adapter.evidence.index(BESIDE)].tolist() == [0.0, 1.0]


def test_what_fits_well_is_answered_though_it_is_not_named(adapter: Adapter) -> None:
    assert adapter.refusal_weight is not None and adapter.refusal_bias is not None
    adapter.refusal_weight.zero_()
    adapter.refusal_weight[:, adapter.evidence.index("fact's logit where no name is known")] = 1.0
    adapter.refusal_bias.zero_()
    reader, _ = reading(adapter, lambda asked, fact: 3.0 if "dial" in fact and "flames" in asked else -3.0)
    asked = reader.read([FLAMES, "How high is the tower?"])
    chances = confidence(reader, asked, [0, 0])
    torch.testing.assert_close(chances, torch.sigmoid(torch.tensor([3.0, -3.0])))


def test_nothing_is_read_where_it_counts_nothing(adapter: Adapter) -> None:
    assert adapter.name_bonus is not None
    adapter.name_bonus[4] = 0.0
    reader, read = reading(adapter, lambda asked, fact: 1.0)
    assert len(reader.read([FLAMES]).bonuses[0][0]) == 0 and not read


def test_vectors_without_texts_are_not_read(adapter: Adapter) -> None:
    encoder = load_encoder(DEFAULT_ENCODER)
    keys, values = (encoder.encode([text]) for text in ("the capital of Mongolia", "Ulaanbaatar"))
    knowledge = KnowledgeBase.from_embeddings(keys, values, None, encoder)
    asked = Reader(adapter, knowledge.snapshot(), encoder).read([FLAMES])
    assert len(asked.bonuses[0][0]) == 0


def test_long_values_are_cut() -> None:
    assert fact_text(Triple("Ada", "notes", "x" * 900)) == f"the notes of Ada is {'x' * LONGEST_WHOLE}"


def test_an_adapter_keeps_its_fact_encoder(adapter: Adapter, tmp_path: Path) -> None:
    adapter.save(tmp_path / "adapter")
    again = Adapter.load(tmp_path / "adapter")
    ours, theirs = adapter.fact_encoder(), again.fact_encoder()
    assert ours is not None and theirs is not None and ours is adapter.fact_encoder()
    assert torch.equal(ours.logits([FLAMES], ["the query"]), theirs.logits([FLAMES], ["the query"]))
    assert again.evidence == EVIDENCE + CROSS_EVIDENCE + FACT_EVIDENCE
    assert any(name.startswith("fact.") for name in again.encoder_weights())


def test_what_was_weighed_keeps_its_weight_when_encoders_come_and_go(adapter: Adapter) -> None:
    assert adapter.refusal_weight is not None
    adapter.refusal_weight.copy_(torch.arange(adapter.refusal_weight.numel()).view(len(WAYS), -1) + 1.0)
    known = dict(zip(adapter.evidence, adapter.refusal_weight.T.tolist(), strict=True))
    adapter.take_cross_encoder(None, None)
    assert adapter.evidence == EVIDENCE + FACT_EVIDENCE
    assert adapter.refusal_weight.T.tolist() == [known[name] for name in adapter.evidence]
    adapter.take_cross_encoder(adapter.config.fact_encoder, weights())
    back = dict(zip(adapter.evidence, adapter.refusal_weight.T.tolist(), strict=True))
    assert back == {**known, **dict.fromkeys(CROSS_EVIDENCE, [0.0] * len(WAYS))}


def test_adapters_made_before_facts_were_read_whole_are_still_read(adapter: Adapter, tmp_path: Path) -> None:
    adapter.take_fact_encoder(None, None)
    assert adapter.name_bonus is not None
    adapter.name_bonus = adapter.name_bonus[:4].clone()
    adapter.save(tmp_path / "adapter")
    again = Adapter.load(tmp_path / "adapter")
    assert again.name_bonus is not None and again.name_bonus.tolist() == [*adapter.name_bonus.tolist(), 0.0]


def test_adapters_that_weighed_less_and_all_ways_alike_are_still_read(adapter: Adapter, tmp_path: Path) -> None:
    old = torch.arange(len(adapter.evidence) - 1.0)
    adapter.refusal_weight, adapter.refusal_bias = old, torch.tensor(-3.0)
    adapter.save(tmp_path / "adapter")
    again = Adapter.load(tmp_path / "adapter")
    assert again.refusal_weight is not None and again.refusal_bias is not None
    assert again.refusal_weight.tolist() == [[*old.tolist(), 0.0]] * len(WAYS)
    assert again.refusal_bias.tolist() == [-3.0] * len(WAYS)


def test_weights_that_lack_more_than_that_do_not_fit(adapter: Adapter, tmp_path: Path) -> None:
    adapter.refusal_weight = torch.zeros(len(WAYS), len(adapter.evidence) - 2)
    adapter.save(tmp_path / "adapter")
    with pytest.raises(ModelError, match="does not fit"):
        Adapter.load(tmp_path / "adapter")


def test_each_way_of_calling_a_thing_weighs_for_itself() -> None:
    named = torch.tensor([0.0, 0.9, 1.0, 0.0, 0.9, 1.0, 0.9, 1.0, 0.0])
    described = torch.tensor([False] * 3 + [True] * 3 + [False] * 2 + [True])
    said = torch.tensor([False] * 6 + [True] * 3)
    way = way_called(named, described, said, torch.tensor([False] * 8 + [True]))
    assert way.tolist() == [0, 1, 2, 3, 4, 4, 5, 2, 6]
    evidence = torch.stack([torch.zeros(9), named], dim=1)
    weight = torch.tensor([[0.0, counts] for counts in (0.0, 2.0, -1.0, 5.0, 1.0, 10.0, 1.0)])
    bias = torch.tensor([0.5, 0.0, 3.0, -1.0, 1.0, -4.0, 0.25])
    expected = torch.sigmoid(torch.tensor([0.5, 1.8, 2.0, -1.0, 1.9, 2.0, 5.0, 2.0, 0.25]))
    torch.testing.assert_close(chances(evidence, way, weight, bias), expected)


@pytest.mark.parametrize(("known", "taken"), [(3, [0, 1, 2, 0, 2, 0, 0]), (5, [0, 1, 2, 3, 4, 0, 0])])
def test_adapters_that_knew_fewer_ways_weigh_new_ones_like_older(
    known: int, taken: list[int], adapter: Adapter, tmp_path: Path
) -> None:
    weight, bias = torch.randn(known, len(adapter.evidence)), torch.arange(known) + 1.0
    adapter.refusal_weight, adapter.refusal_bias = weight, bias
    adapter.save(tmp_path / "adapter")
    again = Adapter.load(tmp_path / "adapter")
    assert again.refusal_weight is not None and again.refusal_bias is not None
    assert torch.equal(again.refusal_weight, weight[taken]) and torch.equal(again.refusal_bias, bias[taken])


def test_descriptions_and_texts_as_long_as_one_are_known(adapter: Adapter) -> None:
    facts = [
        Triple("AI", "Description", "short"),
        Triple("AI", "size", "12 m"),
        Triple("AI", "policy", "word " * 30),
        Triple("AI", "rules", "人" * 41),
    ]
    reader, _ = reading(adapter, lambda asked, fact: 0.0, facts)
    assert described(reader, [0, 1, 2, 3]).tolist() == [True, False, True, True]
    assert described(reader, []).dtype == torch.bool
