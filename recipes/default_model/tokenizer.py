"""Train the shipped model's tokenizer: byte-level BPE that can write any string.

Digits and Chinese or Japanese characters always stand alone, so that a value is cut into the same tokens wherever it
appears.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast
from wordfreq import get_frequency_dict, top_n_list

from kblam.answering.prompts import quoting_prompt
from kblam.synthesis.facts import make_facts
from kblam.synthesis.properties import PROPERTIES
from kblam.synthesis.questions import ask_about

SPECIAL = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
LANGUAGES = {"en": 14000, "zh": 4000, "ja": 4000, "de": 1500, "fr": 1500, "es": 1500, "ru": 600, "ko": 600}
TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}"
    "{% if message.role == 'assistant' %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def corpus(seed: int) -> Iterator[str]:
    """Words of eight languages by their frequency, and synthetic facts with questions."""
    draw = random.Random(seed)
    for language, count in LANGUAGES.items():
        frequency = get_frequency_dict(language)
        for word in top_n_list(language, count):
            times = 1 + min(60, int(frequency.get(word, 0.0) * 2e5))
            for _ in range(times):
                form = draw.choice((word, word.capitalize(), word, word.upper() if draw.random() < 0.1 else word))
                yield form if draw.random() < 0.25 else " " + form
    for fact in make_facts(20000, seed, properties=PROPERTIES):
        question = ask_about(fact, draw)
        yield quoting_prompt(question.text, [fact])
        yield question.answer


def train(seed: int = 0, vocabulary: int = 6144) -> PreTrainedTokenizerFast:
    """A tokenizer of `vocabulary` tokens, chat template included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[0-9\u3040-\u30ff\u3400-\u9fff]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(seed), trainer)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|end|>",
        additional_special_tokens=SPECIAL[2:],
        model_max_length=4096,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = TEMPLATE
    return wrapped


if __name__ == "__main__":
    train().save_pretrained(Path(__file__).parent / "runs" / "tokenizer")
