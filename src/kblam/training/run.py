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
from rich.console import Console
from rich.progress import Progress as Bar

from kblam.errors import InputError
from kblam.knowledge import Encoder, KnowledgeBase
from kblam.knowledge.aside import check_replaceable
from kblam.models.adapter import Adapter
from kblam.models.pretrained import DESCRIPTION, save_enhanced
from kblam.models.quantised import QUANTISED, quantisation
from kblam.training.checkpoints import MARK, Progress, load_checkpoint, load_progress, save_checkpoint
from kblam.training.data import TrainingData
from kblam.training.lessons import Lessons
from kblam.training.options import Options
from kblam.training.prior import calibrate_refusal
from kblam.training.processes import Processes, open_processes
from kblam.training.questions import make_exam
from kblam.training.reading import calibrate_names, learn_to_read, learn_to_read_together
from kblam.training.record import Record
from kblam.training.start import base_width, first_adapter, frozen_base
from kblam.training.vectors import VectorTraining

__all__ = ["train", "work_folder"]

VALIDATION_ROWS, VALIDATION_QUESTIONS = 1000, 120
FINAL_QUESTIONS, NAME_QUESTIONS = 500, 300
QUERY = ("query_", "low_rank_query")
SHARES = (1.0, 0.5, 0.25, 0.1)
CLOSE = 0.005
"""A difference in top-1 that so many questions do not show; less of its own query costs the model answers by vectors."""
CALIBRATION_QUESTIONS = 700


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
    if not resume:
        _check_unfinished(checkpoint)
    _check_needs(options)
    processes = open_processes()
    data = TrainingData(options, encoder, processes)
    base, tokenizer, name = frozen_base(options)
    adapter = (
        Adapter.load(checkpoint).to(base.device) if resume else first_adapter(options, base, tokenizer, name, data)
    )
    if not resume:
        processes.copy_first(list(adapter.parameters()))  # its beginning is computed, on what may be unlike machines
        if "prior" in options.stages and data.can_ask:
            _prior(adapter, data, options, processes)
    schedule = options.schedule(base_width(base))
    data.embed_questions(adapter, schedule, processes)
    record = Record(work_folder(options.output), options.total_steps, progress.step, processes.rank == 0, options.wandb)
    training = VectorTraining(base, tokenizer, adapter, data.train, schedule, processes)
    try:
        if resume:
            load_checkpoint(checkpoint, adapter, training.optimizer)
        measured = _steps(training, data.validation, progress, options, record, checkpoint)
    finally:
        training.close()
        record.close()
    if processes.rank == 0:
        adapter.cpu()
        if "calibration" in options.stages and data.can_ask:
            _calibrate(adapter, data, options.seed)
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


def _check_needs(options: Options) -> None:
    """Raise InputError where the output cannot be written or a package is missing, before anything is computed."""
    check_replaceable(Path(options.output).absolute(), mark=DESCRIPTION)
    if options.wandb is not None and find_spec("wandb") is None:
        raise InputError("--wandb needs Weights & Biases: run pip install wandb")
    if options.precision in QUANTISED:
        quantisation(options.precision)


def _calibrate(adapter: Adapter, data: TrainingData, seed: int) -> None:
    calibrate_names(adapter, data.validation, data.encoder, VALIDATION_ROWS, NAME_QUESTIONS, seed)
    calibrate_refusal(adapter, [make_exam(data.kept_back, seed, CALIBRATION_QUESTIONS)], data.encoder)


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


def _prior(adapter: Adapter, data: TrainingData, options: Options, processes: Processes) -> None:
    how, console = options.reading(data.encoder.name), Console(stderr=True)
    if how == "shipped" and processes.rank == 0:
        console.print(
            "Questions are read as the shipped adapter reads them; --prior encoder learns it anew.", soft_wrap=True
        )
    device = adapter.key_weight.device
    adapter.requires_grad_(False).cpu()
    with Bar(console=console, transient=True, disable=not console.is_terminal or processes.rank > 0) as bar:

        def reported(task: str) -> Callable[[float], None]:
            number = bar.add_task(task, total=1.0)
            return lambda done: bar.update(number, completed=done)

        report = reported("Learning to read questions")
        learn_to_read(adapter, data.train, data.encoder, data.cache, how, options.prior_steps, options.seed, report)
        if how != "kept":
            which = options.cross_encoder, options.cross_steps, options.seed
            learn_to_read_together(adapter, data.train, *which, reported("Learning to read facts beside them"))
    adapter.to(device)
    if how != "kept":
        adapter.provenance["reads questions by"] = how
    processes.copy_first([*adapter.parameters(), *adapter.encoder_weights().values()])


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
    adapter = training.adapter
    learnt = {name: tensor.clone() for name, tensor in adapter.state_dict().items() if name.startswith(QUERY)}

    def take(share: float) -> None:
        adapter.load_state_dict(learnt, strict=False)
        adapter.scale_query(share, [0])

    def found(share: float) -> float:
        take(share)
        return training.measure(validation, VALIDATION_ROWS, count, seed="share")["top-1"]

    tried = {share: found(share) for share in SHARES}
    best = next(share for share in SHARES if tried[share] >= max(tried.values()) - CLOSE)
    take(best)
    adapter.provenance["share of the model's own query"] = best
    _share_null(training, validation, count)


def _share_null(training: VectorTraining, validation: Lessons, count: int) -> None:
    """Set the null row's offset at the retrieval layer anew: with less of the query the rows' scores are others.

    The offset is the one at which most questions are on their side, in balanced accuracy.
    """
    found, offset = training.margins(validation, VALIDATION_ROWS, count, "share"), training.adapter.null_offset
    if found is None or offset is None:
        return
    margins, answerable = found
    if answerable.all() or not answerable.any():
        return
    # A threshold between two neighbours in order; what lies above it counts as answered.
    order = margins.sort().values
    between = (order[1:] + order[:-1]) / 2
    answered = (margins > between[:, None]).float()
    right = answered[:, answerable].mean(1) + 1 - answered[:, ~answerable].mean(1)
    with torch.no_grad():
        offset[0] += between[right.argmax()]


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
