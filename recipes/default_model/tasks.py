"""What the shipped base model practises: copying, recalling, and answering from facts it is shown."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast
from wordfreq import top_n_list

from kblam.answering.prompts import REFUSAL, quoting_prompt
from kblam.knowledge import Triple
from kblam.synthesis.facts import make_facts, make_value
from kblam.synthesis.questions import Question, ask_about, ask_two, is_cjk, plain_question
from kblam.synthesis.values import KINDS, code

WORDS = {
    "en": (9000, 5), "zh": (5000, 2), "ja": (5000, 2), "de": (3000, 1), "fr": (3000, 1), "es": (3000, 1), "ru": (1500, 0.4), "ko": (1500, 0.4),
}  # fmt: skip
PUNCTUATION = [
    "-",
    ", ",
    "/",
    ".",
    ":",
    " & ",
    "'",
    "_",
    "+",
    " (",
    ") ",
    "°",
    "%",
    "#",
    "·",
    "–",
    "“",
    "”",
    " = ",
    "²",
]
ASIDE = (
    "{w} {w} {e} {w}?", "What {w} {e}?", "Which {w} {w} {e}?", "Who {w} {e}?", "When {w} {e} {w}?", "Where {w} {e}?", "How {w} {e} {w} {w}?",
    "Why {w} {e}?", "Tell me {w} {e} {w}.", "In which {w} {w} {e} {w}?", "How many {w} {w} {e}?", "At what {w} {w} {e} {w}?", "By whom {w} {e}?",
    "{e} {w} {w}?", "I want to know {w} {w} {e}.", "What does {e} {w}?", "What do people {w} {e} {w}?", "On which {w} {w} {e} {w}?",
)  # fmt: skip


@dataclass
class Sample:
    """Token ids of one exercise: what is read, and what must be said."""

    prompt: list[int]
    answer: list[int]


class Practice:
    """A source of exercises; `progress` (0 to 1) moves it from copying random tokens to answering questions."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, seed: int, facts: int = 200_000) -> None:
        self.tokenizer = tokenizer
        self.draw = random.Random(seed)
        self.words = {language: top_n_list(language, count) for language, (count, _) in WORDS.items()}
        self.weights = [weight for _, weight in WORDS.values()]
        self.facts = make_facts(facts, seed, other_scripts=0.15)
        self.by_property: dict[str, list[Triple]] = {}
        for fact in self.facts:
            self.by_property.setdefault(fact.property, []).append(fact)
        self.first_plain = len(tokenizer.all_special_ids)

    # -- random tokens: the mechanics of copying -------------------------------------------------------------------

    def _tokens(self, least: int, most: int) -> list[int]:
        """Random tokens, from the whole vocabulary or from a handful so that repetitions abound."""
        count = self.draw.randint(least, most)
        if self.draw.random() < 0.35:
            few = [self.draw.randrange(self.first_plain, len(self.tokenizer)) for _ in range(self.draw.randint(3, 16))]
            return self.draw.choices(few, k=count)
        return [self.draw.randrange(self.first_plain, len(self.tokenizer)) for _ in range(count)]

    def copying(self) -> Sample:
        """`x <|assistant|> x <|end|>`"""
        text = self._tokens(4, 60)
        return Sample([self.user, *text, self.assistant], [*text, self.end])

    def recalling(self) -> Sample:
        """Keys with values, one key again: its value."""
        pairs = [(self._tokens(1, 6), self._tokens(1, 18)) for _ in range(self.draw.randint(2, 7))]
        read = [self.user]
        for key, value in pairs:
            read += [*self.dash, *key, *self.colon, *value, *self.newline]
        key, value = self.draw.choice(pairs)
        whole = self.draw.random() < 0.4
        said = [*key, *self.colon, *value] if whole else value
        return Sample([*read, *key, self.assistant], [*said, self.end])

    # -- facts ---------------------------------------------------------------------------------------------------------

    def _wild_words(self, least: int, most: int) -> str:
        language = self.draw.choices(list(WORDS), self.weights)[0]
        words = [self.draw.choice(self.words[language]) for _ in range(self.draw.randint(least, most))]
        case = self.draw.random()
        words = [word.capitalize() if case < 0.4 else word.upper() if case < 0.45 else word for word in words]
        if language in ("zh", "ja"):
            return "".join(words)
        return " ".join(words)

    def _wild_value(self) -> str:
        kind = self.draw.random()
        if kind < 0.35:
            return self._wild_words(1, 4)
        if kind < 0.45:
            return self._wild_words(5, 30)
        if kind < 0.6:
            return make_value(self.draw.choice(list(KINDS)), self.draw)
        if kind < 0.75:
            return code(self.draw)
        parts = [self._wild_words(1, 2) if self.draw.random() < 0.5 else str(self.draw.randint(0, 10 ** self.draw.randint(1, 9)))
                 for _ in range(self.draw.randint(2, 5))]  # fmt: skip
        return "".join(part + self.draw.choice(PUNCTUATION) for part in parts).strip()

    def wild_fact(self) -> Triple:
        """A fact of any strings at all."""
        while True:
            entity = self._wild_words(1, 4) if self.draw.random() < 0.8 else self._wild_value()[:40]
            value, name = self._wild_value(), self._wild_words(1, 3) if self.draw.random() < 0.8 else "description"
            if entity.strip() and value.strip():
                return Triple(entity.strip(), name, value)

    def _aside(self, fact: Triple) -> Question:
        """A question in words that say nothing of the property; only the entity tells which fact."""
        text = self.draw.choice(ASIDE)
        while "{w}" in text:
            text = text.replace("{w}", self._wild_words(1, 1).lower(), 1)
        return Question(text.format(e=fact.entity), fact.value, (fact.identity,), "paraphrased")

    def _question(self, fact: Triple, wild: bool) -> Question:
        if wild and not is_cjk(fact.property):
            return (
                self._aside(fact)
                if self.draw.random() < 0.4 or fact.property == "description"
                else plain_question(fact, self.draw)
            )
        return ask_about(fact, self.draw)

    def _distractors(self, fact: Triple, count: int, wild: bool, distinct_entities: bool) -> list[Triple]:
        found: list[Triple] = []
        while len(found) < count:
            kind = self.draw.random()
            if kind < 0.35:
                other = self.draw.choice(self.by_property.get(fact.property, self.facts))
                other = Triple(other.entity, fact.property, other.value if not wild else self._wild_value())
            elif kind < 0.6 and not distinct_entities:
                other = Triple(fact.entity, self._wild_words(1, 2), self._wild_value())
            else:
                other = self.wild_fact() if wild else self.draw.choice(self.facts)
            if other.identity != fact.identity and not (distinct_entities and other.entity == fact.entity):
                found.append(other)
        return found

    def answering(self) -> Sample:
        """A question with one to four facts in front, the right one among them; or, one time in ten, not among them."""
        wild = self.draw.random() < 0.55
        fact = self.wild_fact() if wild else self.draw.choice(self.facts)
        question = self._question(fact, wild)
        count = self.draw.choice((0, 0, 0, 1, 2, 3))
        if self.draw.random() < 0.1:
            shown, answer = self._distractors(fact, max(1, count), wild, distinct_entities=True), REFUSAL
        else:
            others = self._distractors(fact, count, wild, distinct_entities=question.kind == "paraphrased")
            shown, answer = [fact, *others], question.answer
            self.draw.shuffle(shown)
        return self._spoken(quoting_prompt(question.text, shown), answer)

    def answering_two(self) -> Sample:
        """A question about two facts, with up to two more in front."""
        wild = self.draw.random() < 0.5
        first = self.wild_fact() if wild else self.draw.choice(self.facts)
        second = self._distractors(first, 1, wild, distinct_entities=False)[0]
        question = ask_two(first, second, self.draw)
        shown = [first, second, *self._distractors(first, self.draw.choice((0, 0, 1, 2)), wild, distinct_entities=True)]
        self.draw.shuffle(shown)
        return self._spoken(quoting_prompt(question.text, shown), question.answer)

    def guessing(self) -> Sample:
        """A question without facts and a plausible answer: what values look like, for knowledge that comes as
        vectors."""
        question = ask_about(self.draw.choice(self.facts), self.draw)
        return self._spoken(question.text, question.answer)

    def _spoken(self, prompt: str, answer: str) -> Sample:
        return Sample(
            [self.user, *self._encode(prompt), self.assistant], [*encode_answer(self._encode, answer), self.end]
        )

    def draw_one(self, progress: float) -> Sample:
        """One exercise."""
        mechanics = max(0.1, 0.3 - progress)
        tasks: tuple[tuple[Callable[[], Sample], float], ...] = (
            (self.copying, mechanics * 0.4),
            (self.recalling, mechanics * 0.6),
            (self.answering, (1 - mechanics) * 0.68),
            (self.answering_two, (1 - mechanics) * 0.14),
            (self.guessing, (1 - mechanics) * 0.18),
        )
        task = self.draw.choices([task for task, _ in tasks], [weight for _, weight in tasks])[0]
        return task()

    # -- tokens --------------------------------------------------------------------------------------------------------

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    @property
    def user(self) -> int:
        """Opens the user's turn."""
        return self.tokenizer.convert_tokens_to_ids("<|user|>")

    @property
    def assistant(self) -> int:
        """Opens the answer."""
        return self.tokenizer.convert_tokens_to_ids("<|assistant|>")

    @property
    def end(self) -> int:
        """Ends the answer."""
        return self.tokenizer.eos_token_id

    @property
    def dash(self) -> list[int]:
        """Opens a fact."""
        return self._encode("- ")

    @property
    def colon(self) -> list[int]:
        """Stands before a value."""
        return self._encode(":")

    @property
    def newline(self) -> list[int]:
        """Ends a fact."""
        return self._encode("\n")


def encode_answer(encode: Callable[[str], list[int]], answer: str) -> list[int]:
    """The answer's tokens; it starts with a space, as a value does behind a fact's colon, so both are cut alike."""
    ids: list[int] = []
    for number, line in enumerate(answer.split("\n")):
        ids += encode(" " + line if number == 0 else "\n " + line)
    return ids
