"""What a run trains on: the two halves of a dataset, embedded, and the facts kept back for calibration."""

from __future__ import annotations

import sys
from pathlib import Path

from torch import Tensor

from kblam.errors import InputError
from kblam.knowledge import Encoder, Triple, load_encoder
from kblam.models.adapter import Adapter
from kblam.synthesis.dataset import Entry, find_dataset, read_dataset
from kblam.training.embedding import cached_pair, embed_lessons
from kblam.training.lessons import Lessons
from kblam.training.options import Options
from kblam.training.processes import Processes
from kblam.training.reading import with_questions
from kblam.training.vectors import Schedule

__all__ = ["TrainingData"]

CALIBRATION_FACTS = 3000
KEPT_BACK = 10
"""Each so manieth entity of the training half is kept for the calibration of refusal."""

NO_QUESTIONS = (
    "no key opens {name}, so questions cannot be embedded: the adapter is trained without the question prior, as in the "
    "paper; set OPENAI_API_KEY to have it"
)


class TrainingData:
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
        self.can_ask = pair is None or _can_ask(self.encoder)
        """Whether questions can be embedded; without that there is no question prior, as in the paper."""
        if not self.can_ask:
            validation_path = None  # its facts have no vectors, and nothing here makes them
            if processes.rank == 0:
                print(NO_QUESTIONS.format(name=self.encoder.name), file=sys.stderr)
        places = _divided(entries, validation_path is None)
        cache = self.cache = train_path.parent / f"{train_path.stem}.embedded"
        for turn in range(2):  # the first process embeds, the others read what it kept
            if (processes.rank == 0) == (turn == 0):
                halves = [self._embedded([entries[row] for row in rows], rows, pair, cache) for rows in places[:2]]
                if validation_path is not None:
                    halves[1] = self._embedded(read_dataset(validation_path, first=options.N), [], None, cache)
            processes.wait()
        self.train, self.validation = halves
        self.kept_back: list[Triple] = [entries[row].fact for row in places[2]][:CALIBRATION_FACTS]
        if not any(kind in self.train.by_kind for kind in options.schedule(1).mixture.kinds):
            raise InputError(f"{train_path} holds no questions to train on: make a dataset with kblam synthesize")

    def embed_questions(self, adapter: Adapter, schedule: Schedule, processes: Processes) -> None:
        """Embed the questions that the schedule asks, and all of the validation half, by what the adapter reads with."""
        if not self.can_ask:
            return
        count = schedule.batch * schedule.accumulate * processes.count
        wanted = self.train.asked_by(schedule.mixture, count, map(schedule.seed_of, range(schedule.steps)))
        for turn in range(2):
            if (processes.rank == 0) == (turn == 0):
                self.train = with_questions(adapter, self.train, self.encoder, self.cache, wanted)
                self.validation = with_questions(adapter, self.validation, self.encoder, self.cache)
            processes.wait()

    def _embedded(
        self, entries: list[Entry], rows: list[int], pair: tuple[Tensor, Tensor] | None, cache: Path
    ) -> Lessons:
        there = {entry.fact.identity for entry in entries}
        own = [
            Entry(entry.fact, tuple(item for item in entry.questions if there.issuperset(item.facts)))
            for entry in entries
        ]
        vectors = None if pair is None else (pair[0][rows], pair[1][rows])
        return embed_lessons(own, self.encoder, cache, vectors)


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
