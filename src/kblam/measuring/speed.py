"""Time and memory of every contender against the number of facts, each in turns with the model alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from kblam.errors import InputError
from kblam.extras import pip_install
from kblam.measuring.clock import available_bytes, bandwidth, median, peak_memory, seconds
from kblam.measuring.contenders import CONTENDERS, INDEXED, TOKENS_OF_A_FACT, Bench, Contender, kept_bytes
from kblam.measuring.decoders import SHAPES, WIDTH, build_decoder, exact_adapter, retrieving_adapter

__all__ = ["NOTHING", "PRESETS", "Row", "SpeedOptions", "build_bench", "measure_speed"]

NOTHING = "no knowledge"
EVERY_ROW = ("ours, exact", "ours, exact, keys kept", "original's algorithm")
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class SpeedOptions:
    """What is measured."""

    shape: str = "llama-3.2-1b"
    """A name in `SHAPES`."""
    layers: int | None = None
    """Decoder layers, instead of the shape's own number."""
    facts: tuple[int, ...] = (100, 1000, 10_000)
    """Numbers of facts, ascending."""
    tokens: int = 32
    """Tokens of the question."""
    made: int = 4
    """Tokens generated in each round."""
    rounds: int = 3
    """Rounds, of which the median counts."""
    every: int = 3
    """The exact form and the original attend in every so-manieth layer, as in the paper."""
    most_seconds: float = 10.0
    """A contender whose prompt would take longer, by its time at the number before, is left out."""
    most_bytes: int = 4 << 30
    """A contender whose knowledge would take more memory is left out."""
    dtype: str = "bfloat16"
    """`bfloat16` or `float32`."""
    device: str = "cpu"
    """Where the model is."""

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise InputError(f"the shape {self.shape!r} is unknown: choose one of {', '.join(SHAPES)}")
        if self.dtype not in DTYPES:
            raise InputError(f"the number format {self.dtype!r} is unknown: choose one of {', '.join(DTYPES)}")
        if self.device.startswith("cuda") and not torch.cuda.is_available():
            raise InputError(
                f"the device is {self.device}, but torch finds no GPU: leave --device out or install a torch with CUDA"
            )
        for name in ("tokens", "made", "rounds", "every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}: give at least 1")
        if not self.facts or min(self.facts) < 1 or list(self.facts) != sorted(set(self.facts)):
            raise InputError(f"facts are {self.facts}: give numbers of at least 1, ascending, each once")
        if self.layers is not None and self.layers < 2:
            raise InputError(f"layers is {self.layers}: give at least 2, so that knowledge can enter in the upper half")


PRESETS = {
    "small": SpeedOptions(layers=4),
    "full": SpeedOptions(
        facts=(100, 1000, 10_000, 100_000, 1_000_000), rounds=5, most_seconds=120.0, most_bytes=6 << 30
    ),
}


@dataclass(frozen=True)
class Row:
    """One contender with one number of facts; times in seconds, None where it was left out."""

    method: str
    facts: int
    kept_bytes: int
    """What it keeps in memory for the facts, by arithmetic."""
    left_out: str | None = None
    """Why nothing was measured."""
    prefill: float | None = None
    """From the question to the first token."""
    prefill_ratio: float | None = None
    """Of the model alone, measured in turns with it."""
    decode: float | None = None
    """For each further token."""
    decode_ratio: float | None = None
    decode_extra_per_layer: float | None = None
    """What knowledge adds to a token in each layer that attends to it."""
    decode_bound: float | None = None
    """Bytes that a token must read, weights and knowledge, at the bandwidth measured."""
    peak_bytes: int | None = None
    """The most memory beyond the model while questions were answered, knowledge included."""


def build_bench(options: SpeedOptions) -> Bench:
    """The decoder, its adapters and the question."""
    shape, dtype = SHAPES[options.shape], DTYPES[options.dtype]
    decoder = build_decoder(shape, options.layers or shape.layers, dtype, options.device)
    generator = torch.Generator().manual_seed(4)
    ids = torch.randint(3, shape.vocabulary, (1, options.tokens), generator=generator)
    vector = torch.nn.functional.normalize(torch.randn(1, WIDTH, generator=generator))
    adapters = exact_adapter(decoder, options.every, dtype), retrieving_adapter(decoder, dtype)
    return Bench(decoder, *adapters, ids.to(options.device), vector.to(options.device), dtype)


@torch.no_grad()
def measure_speed(
    options: SpeedOptions, methods: Sequence[str], report: Callable[[str], None] = lambda what: None
) -> tuple[list[Row], dict[str, float]]:
    """Measure every method at every number of facts; also what bounds the machine and the model's size."""
    report("building the model")
    bench, rate = build_bench(options), bandwidth(options.device)
    weights = float(sum(parameter.numel() * parameter.element_size() for parameter in bench.decoder.parameters()))
    machine = {"bytes a second": rate, "weight bytes": weights, "threads": float(torch.get_num_threads())}
    rows: list[Row] = []
    for name in methods:
        for facts in options.facts:
            report(f"{name}, {facts:,} facts")
            before = [row for row in rows if row.method == name and row.prefill is not None]
            reason = _why_not(name, bench, facts, options, before[-1] if before else None)
            if reason is not None:
                rows.append(Row(name, facts, kept_bytes(name, bench, facts), left_out=reason))
                continue
            rows.append(_measured(name, bench, facts, options, (weights, rate)))
    return rows, machine


def _why_not(name: str, bench: Bench, facts: int, options: SpeedOptions, before: Row | None) -> str | None:
    if name == INDEXED and find_spec("faiss") is None:
        return f"needs faiss: {pip_install('ann')}"
    kept, free = kept_bytes(name, bench, facts), available_bytes(options.device)
    most = options.most_bytes if free is None else min(options.most_bytes, int(free * 0.7))
    if kept > most:
        return f"would take {kept / 1e9:.1f} GB"
    window = bench.decoder.config.max_position_embeddings
    if name == "in context" and facts * TOKENS_OF_A_FACT + options.tokens + options.made > window:
        return f"longer than the window of {window:,} tokens"
    predicted = 0.0 if before is None or before.prefill is None else before.prefill * facts / before.facts
    if name in ("in context", *EVERY_ROW) and predicted > options.most_seconds:
        return f"would take {predicted:.0f} s a question"
    return None


def _measured(name: str, bench: Bench, facts: int, options: SpeedOptions, bound: tuple[float, float]) -> Row:
    alone = CONTENDERS[NOTHING](bench, 0)
    with peak_memory(options.device) as peak:
        contender = CONTENDERS[name](bench, facts)
        try:
            peak.restart()
            first = sum(_answer(bench, contender, options))  # touches memory and chooses kernels, so it does not count
            held = peak.bytes
            rounds = options.rounds if first < options.most_seconds / 10 else 1
            turns = [(_answer(bench, alone, options), _answer(bench, contender, options)) for _ in range(rounds)]
        finally:
            contender.close()
    prefill, decode = (median([theirs[kind] for _, theirs in turns]) for kind in (0, 1))
    ratios = [median([theirs[kind] / plain[kind] for plain, theirs in turns]) for kind in (0, 1)]
    layers = len(bench.exact.config.knowledge_layers) if name in EVERY_ROW else None
    extra = None if layers is None else median([theirs[1] - plain[1] for plain, theirs in turns]) / layers
    return Row(
        name, facts, kept_bytes(name, bench, facts), prefill=prefill, prefill_ratio=ratios[0], decode=decode,
        decode_ratio=ratios[1], decode_extra_per_layer=extra,
        decode_bound=(bound[0] + _read_bytes(name, bench, facts)) / bound[1], peak_bytes=held,
    )  # fmt: skip


def _read_bytes(name: str, bench: Bench, facts: int) -> int:
    """What of the knowledge each token reads."""
    if name.startswith("ours, retrieve"):
        return 100 * 2 * WIDTH * 2
    if name == "ours, exact, keys kept":
        name = "ours, exact"  # single tokens read the latents
    again = len(bench.exact.config.knowledge_layers) if name == "ours, exact" else 1
    return 0 if name.startswith("RAG") else again * kept_bytes(name, bench, facts)


def _answer(bench: Bench, contender: Contender, options: SpeedOptions) -> tuple[float, float]:
    """Seconds to the first token, and for each further one."""
    state: dict[str, Any] = {}

    def first() -> None:
        step(contender.prompt(), None)

    def further() -> None:
        step(state["token"], state["cache"])

    def step(ids: Tensor, cache: Any) -> None:
        made = bench.decoder.model(ids, past_key_values=cache, use_cache=True)
        state["cache"] = made.past_key_values
        # Two axes: with three, torch copies the whole vocabulary's weights for a product with one row (bfloat16, CPU).
        state["token"] = bench.decoder.lm_head(made.last_hidden_state[:, -1]).argmax(-1, keepdim=True)

    with _asked(contender):
        prefill = seconds(first, options.device)
        return prefill, median([seconds(further, options.device) for _ in range(options.made)])


@contextmanager
def _asked(contender: Contender) -> Iterator[None]:
    with torch.no_grad(), contender.attend():
        yield
