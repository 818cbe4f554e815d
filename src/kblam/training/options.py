"""What a run of training is told to do."""

from __future__ import annotations

from dataclasses import dataclass

from kblam.errors import InputError
from kblam.knowledge import DEFAULT_ENCODER
from kblam.models.pretrained import PRECISIONS
from kblam.models.shipped import DEFAULT_MODEL, LARGE_MODEL
from kblam.training.lessons import Mixture
from kblam.training.losses import Weights
from kblam.training.vectors import Schedule

__all__ = ["CROSS_ENCODERS", "PRIORS", "STAGES", "Options"]

STAGES = ("prior", "vectors", "calibration")
"""In this order: how questions are read, keys and values inside the model, and when to refuse."""
PRIORS = ("shipped", "encoder", "maps")
"""Reading questions: as the shipped adapter does, or learnt anew, by low-rank updates of the encoder with maps on top,
or by maps of the plain encoder's embeddings alone."""
CROSS_ENCODERS = ("shipped", "new", "none")
"""Reading questions and statements together: the shipped way, which fits every encoder and base; learnt anew; not at all."""

_COUNTS = (
    "N", "B", "total_steps", "gradient_accm_step", "warmup", "kb_size", "top_k", "prior_steps", "cross_steps", "validate_every",
    "save_every", "patience",
)  # fmt: skip

SLOT_LAYERS = 3
"""Three layers say a value exactly, and each has five maps of hidden size squared."""


@dataclass(frozen=True)
class Options:
    """One run; the names are those of the command line, and where they mean the same those of microsoft/KBLaM."""

    dataset: str = "synthetic_data"
    """A directory or file; this name, when it is not there, is made first."""
    model: str = "default"
    """The frozen base: default, a Hugging Face folder or hub name, or a directory that kblam wrote."""
    output: str = "output"
    """The model directory to write; checkpoints and logs stand in a folder beside it."""
    N: int = 13_000
    """Facts of the dataset that are used, the first ones."""
    B: int = 20
    """Questions in a forward pass of one process."""
    total_steps: int = 601
    gradient_accm_step: int = 1
    """Forward passes a step."""
    lr: float | None = None
    """Highest learning rate; None takes 3e-3 * sqrt(256 / hidden size)."""
    warmup: int = 50
    use_lr_decay: bool = True
    clip: float = 1.0
    encoder_spec: str = "all-MiniLM-L6-v2"
    endpoint_url: str | None = None
    use_cached_embd: bool = False
    """Insist on the key and value vectors that stand beside the dataset's file."""
    use_data_aug: bool = True
    """Ask paraphrased and misspelt questions too, not plain ones alone."""
    use_extended_qa: bool = True
    """Ask open questions too."""
    multi_entities: int = 3
    """Most facts in one question: 1, 2 or 3."""
    outlier_ratio: int = 1
    """This and one more of twenty questions have no answer; -1 for none."""
    kb_size: int = 2048
    """Facts around a step's questions at the end of training."""
    negatives: int = 8
    """Near-duplicates among them for each fact asked about."""
    top_k: int = 24
    """Facts attended to behind the retrieval layer while training."""
    retrieval_weight: float = 0.5
    teacher_weight: float = 0.0
    """Of self-distillation."""
    kb_token_layer_frequency: int | None = None
    """Knowledge enters each so manieth layer from the retrieval layer on; None: each of a small model, each third of others."""
    retrieval_layer: int | None = None
    """The first layer with knowledge; None: a third of the way up."""
    query_rank: int = 0
    """Rank of the query heads' update of the model's own query projection; 0: a whole matrix in each layer."""
    value_slots: bool = True
    """Let the tokens of chosen values enter as vectors too, so that values are said exactly; the paper has one vector."""
    length_invariance: bool = False
    """Shift knowledge scores by log 100 - log rows, as the paper's C."""
    precision: str = "auto"
    """Of the frozen base: one of PRECISIONS."""
    adapter: str | None = None
    """Go on from this adapter instead of a new one."""
    stages: tuple[str, ...] = STAGES
    prior: str | None = None
    """How questions are read (see PRIORS); None: as shipped with the encoder that ships, as --adapter read them with
    one, by maps otherwise."""
    prior_steps: int = 600
    cross_encoder: str = "shipped"
    """What reads questions and statements together (see CROSS_ENCODERS)."""
    cross_steps: int = 600
    validate_every: int = 50
    save_every: int = 100
    patience: int = 8
    """Validations without a better loss before training stops."""
    seed: int = 0
    wandb: str | None = None
    """Project at Weights & Biases; None leaves it alone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stages", tuple(self.stages))  # JSON knows lists only
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise InputError(f"--{name} is at least 1, not {getattr(self, name)}")
        if (self.lr is not None and self.lr <= 0) or self.clip <= 0:
            raise InputError("--lr and --clip are greater than 0")
        if self.multi_entities not in (1, 2, 3):
            raise InputError(f"--multi_entities is 1, 2 or 3, not {self.multi_entities}")
        if not -1 <= self.outlier_ratio <= 18:
            raise InputError(f"--outlier_ratio is between -1 (none) and 18, not {self.outlier_ratio}")
        if not self.stages or not set(self.stages) <= set(STAGES):
            raise InputError(f"--stages is some of {', '.join(STAGES)}, not {' '.join(self.stages)}")
        if self.prior not in (None, *PRIORS):
            raise InputError(f"--prior is {', '.join(PRIORS[:-1])} or {PRIORS[-1]}, not {self.prior}")
        if self.cross_encoder not in CROSS_ENCODERS:
            raise InputError(
                f"--cross_encoder is {', '.join(CROSS_ENCODERS[:-1])} or {CROSS_ENCODERS[-1]}, not {self.cross_encoder}"
            )
        if self.query_rank < 0:
            raise InputError(f"--query_rank is at least 0, not {self.query_rank}")
        if self.precision not in PRECISIONS:
            raise InputError(f"--precision is {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, not {self.precision}")
        if self.model == LARGE_MODEL:
            raise InputError(
                f"{LARGE_MODEL} has the base of {DEFAULT_MODEL}, and its reading is not trained by this command: use --model {DEFAULT_MODEL}"
            )

    def schedule(self, hidden_size: int) -> Schedule:
        """The steps, for a base model of this width."""
        kinds = Mixture().kinds
        kept = {
            "plain": True,
            "paraphrased": self.use_data_aug,
            "misspelt": self.use_data_aug,
            "open": self.use_extended_qa,
        }
        kept |= {"two": self.multi_entities > 1, "three": self.multi_entities > 2}
        mixture = Mixture(
            kinds={kind: weight for kind, weight in kinds.items() if kept[kind]},
            unanswerable=(self.outlier_ratio + 1) / 20,
            first_rows=min(256, self.kb_size),
            rows=self.kb_size,
            negatives=self.negatives,
        )
        return Schedule(
            steps=self.total_steps,
            batch=self.B,
            accumulate=self.gradient_accm_step,
            rate=self.lr or 3e-3 * (256 / hidden_size) ** 0.5,
            warmup=self.warmup,
            decay=self.use_lr_decay,
            clip=self.clip,
            mixture=mixture,
            weights=Weights(self.retrieval_weight, self.teacher_weight, self.top_k),
            seed=self.seed,
        )

    def reading(self, encoder: str) -> str:
        """How questions are read with this encoder: one of PRIORS, or `kept` for that of the adapter gone on from."""
        if self.prior is not None:
            return self.prior
        return "kept" if self.adapter is not None else "shipped" if encoder == DEFAULT_ENCODER else "maps"

    def layers(self, count: int) -> tuple[int, ...]:
        """Where knowledge enters a model of so many layers."""
        first = max(1, count // 3) if self.retrieval_layer is None else self.retrieval_layer
        if not 0 <= first < count:
            raise InputError(f"--retrieval_layer is between 0 and {count - 1} for this model, not {first}")
        every = self.kb_token_layer_frequency or (1 if count <= 8 else 3)
        return tuple(range(first, count, every))

    def slot_layers(self, layers: tuple[int, ...]) -> tuple[int, ...]:
        """Which knowledge layers get value slots: SLOT_LAYERS of them at most, evenly spread, first and last among them."""
        if not self.value_slots:
            return ()
        if len(layers) <= SLOT_LAYERS:
            return layers
        return tuple(layers[round(at * (len(layers) - 1) / (SLOT_LAYERS - 1))] for at in range(SLOT_LAYERS))
