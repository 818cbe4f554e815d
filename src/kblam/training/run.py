"""A whole run of training: dataset, embeddings, question prior, vectors, calibration, and the model directory."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kblam.answering.prompts import chat_prompt
from kblam.errors import InputError, ModelError
from kblam.knowledge import Encoder, KnowledgeBase, Triple, load_encoder
from kblam.knowledge.aside import check_replaceable
from kblam.models.adapter import Adapter, AdapterConfig
from kblam.models.anatomy import attention_shape
from kblam.models.pretrained import DEFAULT_MODEL, DESCRIPTION, load_pretrained, save_enhanced
from kblam.synthesis.dataset import Entry, find_dataset, read_dataset
from kblam.training.checkpoints import MARK, Progress, load_checkpoint, load_progress, save_checkpoint
from kblam.training.embedding import cached_pair, embed_lessons
from kblam.training.lessons import Lessons
from kblam.training.options import Options
from kblam.training.prior import calibrate_refusal
from kblam.training.processes import Processes, open_processes
from kblam.training.questions import make_exam
from kblam.training.reading import calibrate_names, learn_to_read, read_again
from kblam.training.record import Record
from kblam.training.vectors import VectorTraining

__all__ = ["train", "work_folder"]

OWN_QUERY = 0.25
"""Share of the model's own query at first, so that the question prior decides which rows are read."""
VALIDATION_ROWS, VALIDATION_QUESTIONS = 1000, 120
FINAL_QUESTIONS, NAME_QUESTIONS = 500, 300
SHARES = (1.0, 0.5, 0.25, 0.1)
CLOSE = 0.005
"""A difference in top-1 that so many questions do not show; less of its own query costs the model answers by vectors."""
CALIBRATION_FACTS, CALIBRATION_QUESTIONS = 3000, 700
KEPT_BACK = 10
"""Each so manieth entity of the training half is kept for the calibration of refusal."""


def work_folder(output: str | Path) -> Path:
    """Where a run keeps its checkpoint and its logs."""
    path = Path(output).absolute()
    return path.with_name(path.name + ".training")


def train(options: Options, resume: bool = False, encoder: Encoder | None = None) -> dict[str, float]:
    """Train an adapter and write a model directory that every command reads; returns the last measurements.

    resume: go on from the checkpoint beside the output, whose options count. encoder: instead of the one that the
    options name. Raises InputError or one of its kinds before anything is written.
    """
    checkpoint = work_folder(options.output) / "checkpoint"
    progress = load_progress(checkpoint) if resume else Progress(asdict(options))
    options = Options(**progress.options)
    check_replaceable(Path(options.output).absolute(), mark=DESCRIPTION)
    if not resume:
        _check_unfinished(checkpoint)
    if options.wandb is not None and find_spec("wandb") is None:
        raise InputError("--wandb needs Weights & Biases: run pip install wandb")
    processes = open_processes()
    data = _Data(options, encoder, processes)
    base, tokenizer, name = _base(options)
    adapter = Adapter.load(checkpoint).to(base.device) if resume else _adapter(options, base, tokenizer, name, data)
    if not resume and "prior" in options.stages and data.train.asked is not None:
        _prior(adapter, data, options, processes)
    data.read_again(adapter, processes)
    record = Record(work_folder(options.output), options.total_steps, progress.step, processes.rank == 0, options.wandb)
    training = VectorTraining(base, tokenizer, adapter, data.train, options.schedule(_width(base)), processes)
    try:
        if resume:
            load_checkpoint(checkpoint, adapter, training.optimizer)
        measured = _steps(training, data.validation, progress, options, record, checkpoint)
    finally:
        training.close()
        record.close()
    if processes.rank == 0:
        adapter.cpu()
        if "calibration" in options.stages and data.train.asked is not None:
            calibrate_names(adapter, data.validation, data.encoder, VALIDATION_ROWS, NAME_QUESTIONS, options.seed)
            exam = make_exam(data.kept_back, options.seed, CALIBRATION_QUESTIONS)
            calibrate_refusal(adapter, [exam], data.encoder)
        provenance = {
            "command": "kblam train",
            "options": asdict(options),
            "best_step": progress.best_step,
            "measured": measured,
        }
        adapter.provenance = {**adapter.provenance, **provenance}
        save_enhanced(options.output, name, adapter, KnowledgeBase.empty(data.encoder), provenance)
    processes.wait()
    return measured


def _check_unfinished(checkpoint: Path) -> None:
    """Raise InputError where a run stands that could go on: hours of work are not thrown away by a forgotten flag."""
    if (checkpoint / MARK).exists():
        progress = load_progress(checkpoint)
        options = Options(**progress.options)
        if 0 < progress.step < options.total_steps and not _stale(progress, options):
            raise InputError(
                f"a run to {options.output} stopped after {progress.step:,} of {options.total_steps:,} steps: "
                f"go on with --resume, or delete {checkpoint.parent}"
            )


class _Data:
    """The two halves of a dataset, embedded, and the facts kept back for calibration."""

    def __init__(self, options: Options, encoder: Encoder | None, processes: Processes) -> None:
        self.encoder = encoder or load_encoder(options.encoder_spec, endpoint_url=options.endpoint_url)
        train_path, validation_path = _found(options, self.encoder, processes)
        entries = read_dataset(train_path, first=options.N)
        pair = cached_pair(train_path, entries, self.encoder.name)
        if pair is None and options.use_cached_embd:
            raise InputError(
                f"{train_path} has no vectors of {self.encoder.name} beside it: leave --use_cached_embd out"
            )
        ask = pair is None or _can_ask(self.encoder)
        if not ask:
            validation_path = None  # its facts have no vectors, and nothing here makes them
        places = _divided(entries, validation_path is None)
        cache = self.cache = train_path.parent / f"{train_path.stem}.embedded"
        for turn in range(2):  # the first process embeds, the others read what it kept
            if (processes.rank == 0) == (turn == 0):
                halves = [self._embedded([entries[row] for row in rows], rows, pair, cache, ask) for rows in places[:2]]
                if validation_path is not None:
                    halves[1] = self._embedded(read_dataset(validation_path, first=options.N), [], None, cache, ask)
            processes.wait()
        self.train, self.validation = halves
        self.kept_back: list[Triple] = [entries[row].fact for row in places[2]][:CALIBRATION_FACTS]
        if not any(kind in self.train.by_kind for kind in options.schedule(1).mixture.kinds):
            raise InputError(f"{train_path} holds no questions to train on: make a dataset with kblam synthesize")

    def read_again(self, adapter: Adapter, processes: Processes) -> None:
        """Embed the questions by what the adapter reads them with, where that is not the plain encoder."""
        for turn in range(2):
            if (processes.rank == 0) == (turn == 0):
                self.train, self.validation = (
                    read_again(adapter, half, self.encoder, self.cache) for half in (self.train, self.validation)
                )
            processes.wait()

    def _embedded(
        self, entries: list[Entry], rows: list[int], pair: tuple[Tensor, Tensor] | None, cache: Path, ask: bool
    ) -> Lessons:
        there = {entry.fact.identity for entry in entries}
        own = [
            Entry(entry.fact, tuple(item for item in entry.questions if there.issuperset(item.facts)))
            for entry in entries
        ]
        vectors = None if pair is None else (pair[0][rows], pair[1][rows])
        return embed_lessons(own, self.encoder, cache, vectors, ask)


def _found(options: Options, encoder: Encoder, processes: Processes) -> tuple[Path, Path | None]:
    """The dataset's files; the one called synthetic_data is made when it is not there."""
    path = Path(options.dataset)
    made = path.name == Options.dataset and not path.exists()
    if not (path.exists() or made):
        raise InputError(f"there is no dataset {path}: make one with kblam synthesize --output {path}")
    train_path = path if path.is_file() else path / "train.jsonl"
    if not made and cached_pair(train_path, [], encoder.name) is None:
        _check_key(encoder)
    if made:
        _check_key(encoder)
        if processes.rank == 0:
            from kblam.synthesis.making import Recipe
            from kblam.synthesis.writing import synthesize

            synthesize(path, Recipe(facts=max(options.N, 100), validation=max(options.N // 20, 20)))
        processes.wait()
    return find_dataset(path)


def _can_ask(encoder: Encoder) -> bool:
    """False for a model behind an endpoint that no key opens."""
    try:
        _check_key(encoder)
    except InputError:
        return False
    return True


def _check_key(encoder: Encoder) -> None:
    from kblam.knowledge.endpoint import open_client
    from kblam.knowledge.remote_encoder import RemoteEncoder

    if isinstance(encoder, RemoteEncoder):
        instead = "put cached vectors beside the dataset, or choose --encoder_spec all-MiniLM-L6-v2, which runs here"
        open_client(encoder.name, encoder.endpoint_url, instead)


def _divided(entries: list[Entry], validate: bool) -> tuple[list[int], list[int], list[int]]:
    """Rows to train on, to validate on (none when a file of its own has them) and to calibrate on, by entity."""
    number = {entity: place for place, entity in enumerate(dict.fromkeys(entry.fact.entity for entry in entries))}
    halves: tuple[list[int], list[int], list[int]] = ([], [], [])
    for row, entry in enumerate(entries):
        place = number[entry.fact.entity] % KEPT_BACK
        halves[2 if place == 1 else 1 if place == 2 and validate else 0].append(row)
    return halves


def _base(options: Options) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, str]:
    parts = load_pretrained(options.model)
    if parts.tokenizer is None:
        raise ModelError(f"{options.model} has no tokenizer, so it cannot be trained on questions: put its files there")
    if options.precision != "auto":
        parts.base.to(getattr(torch, options.precision))
    local = parts.base_model != DEFAULT_MODEL and Path(parts.base_model).is_dir()
    return parts.base, parts.tokenizer, str(Path(parts.base_model).resolve()) if local else parts.base_model


def _width(base: PreTrainedModel) -> int:
    return int(base.config.get_text_config().hidden_size)


def _adapter(
    options: Options, base: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, data: _Data
) -> Adapter:
    """A new adapter, or the one to go on from."""
    if options.adapter is not None:
        return Adapter.load(options.adapter).to(base.device)
    layers = options.layers(int(base.config.get_text_config().num_hidden_layers))
    embeddings: Any = base.get_input_embeddings()
    table: Tensor = embeddings.weight
    small = {"quote_rows": 1, "check_quotes": True} if name == DEFAULT_MODEL else {}
    config = AdapterConfig(
        data.encoder.name,
        data.encoder.width,
        name,
        layers,
        retrieval_layer=layers[0],
        question_prior=data.train.asked is not None,
        length_scale=100.0 if options.length_invariance else None,
        slot_layers=options.slot_layers(layers),
        embedding_size=table.shape[1],
        **small,  # type: ignore[arg-type]
        **attention_shape(base, layers),
    )
    torch.manual_seed(options.seed)
    adapter = Adapter.for_model(base, config)
    if adapter.value_slots is not None:
        prompt = chat_prompt(tokenizer, "?")
        last = tokenizer(prompt, add_special_tokens=tokenizer.chat_template is None)["input_ids"][-1]
        adapter.value_slots.open_after(table[last])
    if config.question_prior:
        adapter.query_weight.data.mul_(OWN_QUERY)
    return adapter.to(base.device)


def _prior(adapter: Adapter, data: _Data, options: Options, processes: Processes) -> None:
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    device = adapter.key_weight.device
    adapter.requires_grad_(False).cpu()
    with Bar(console=console, transient=True, disable=not console.is_terminal or processes.rank > 0) as bar:
        task = bar.add_task("Learning to read questions", total=options.prior_steps)

        def report(step: int, loss: float) -> None:
            bar.update(task, completed=step)

        learn_to_read(adapter, data.train, data.encoder, options.prior, options.prior_steps, options.seed, report)
    adapter.to(device)
    processes.copy_first(
        [*adapter.parameters(), *(matrix for update in adapter.question_updates.values() for matrix in update)]
    )


def _steps(
    training: VectorTraining,
    validation: Lessons,
    progress: Progress,
    options: Options,
    record: Record,
    checkpoint: Path,
) -> dict[str, float]:
    """Every step that is left, with validation, early stop and checkpoints; ends with the best weights in place."""

    def save() -> None:
        if training.processes.rank == 0:
            save_checkpoint(checkpoint, progress, training.adapter, training.optimizer)

    if progress.step == 0:
        save()  # what the prior learnt is not to be learnt again
    with _stop_wanted() as wanted:
        last = options.total_steps if "vectors" in options.stages else 0
        while progress.step < last and not _stale(progress, options):
            numbers = training.step(progress.step)
            progress.step += 1
            record.step(progress.step, numbers)
            if progress.step % options.validate_every == 0 or progress.step == last:
                _validate(training, validation, progress, record)
            if (
                progress.step % options.save_every == 0
                or progress.step == last
                or wanted()
                or _stale(progress, options)
            ):
                save()
            if wanted():
                record.say(f"stopped after {progress.step:,} steps: the same command with --resume goes on")
                raise KeyboardInterrupt
    if progress.best:
        training.adapter.load_state_dict(progress.best)
    count = min(FINAL_QUESTIONS, len(validation.questions))
    if "calibration" in options.stages and validation.asked is not None:
        _share_retrieval(training, validation, count)
    return training.measure(validation, VALIDATION_ROWS, count, seed="final")


def _share_retrieval(training: VectorTraining, validation: Lessons, count: int) -> None:
    """Weigh the model's own query against the question prior where rows are chosen: the most that finds no fewer rows.

    The query learns the properties of training; about others the prior, which is plain similarity at heart, knows more.
    """
    query = training.adapter.query_weight
    learnt = query[0].detach().clone()

    def found(share: float) -> float:
        with torch.no_grad():
            query[0] = share * learnt
        return training.measure(validation, VALIDATION_ROWS, count, seed="share")["top-1"]

    tried = {share: found(share) for share in SHARES}
    best = next(share for share in SHARES if tried[share] >= max(tried.values()) - CLOSE)
    with torch.no_grad():
        query[0] = best * learnt
    training.adapter.provenance["share of the model's own query"] = best


def _validate(training: VectorTraining, validation: Lessons, progress: Progress, record: Record) -> None:
    count = min(VALIDATION_QUESTIONS, len(validation.questions))
    numbers = training.measure(validation, VALIDATION_ROWS, count)
    shuffled = training.measure(validation, VALIDATION_ROWS, count, shuffle=True)
    numbers |= {"answer, shuffled": shuffled["answer"]}
    numbers["loss"] = numbers["answer"] + training.schedule.weights.retrieval * numbers["retrieval"]
    if numbers["loss"] < min((old["loss"] for old in progress.measured), default=float("inf")):
        state = training.adapter.state_dict()
        progress.best = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
        progress.best_step = progress.step
    progress.measured.append({"step": progress.step, **numbers})
    record.validation(progress.step, numbers)


def _stale(progress: Progress, options: Options) -> bool:
    """Whether the last measurements were all worse than one before them."""
    since = [old for old in progress.measured if old["step"] > progress.best_step]
    return len(since) >= options.patience


@contextmanager
def _stop_wanted() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C end the run behind the step it is in; a second one ends it at once."""
    stopped: list[int] = []

    def note(number: int, frame: Any) -> None:
        stopped.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not in the main thread
        yield lambda: False
        return
    try:
        yield lambda: bool(stopped)
    finally:
        signal.signal(signal.SIGINT, before)
