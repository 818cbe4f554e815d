"""What is claimed of the method, by whom and where: one table, which the report and experiments/README.md quote."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CLAIMS", "SOURCES", "Claim"]


@dataclass(frozen=True)
class Claim:
    """A claim, and what others measured of it."""

    claim: str
    paper: str
    """What the paper (KBLaM, arXiv 2410.10450, ICLR 2025), its authors or its users found, and where it stands."""
    options: str = ""
    """Of `kblam experiment NAME`, when it takes some to measure it."""

    def command(self, name: str) -> str:
        """What measures it."""
        return f"kblam experiment {name}{' ' * bool(self.options)}{self.options}"


CLAIMS = {
    "retrieval": Claim(
        "attention finds the fact asked for (ours with a question prior in the scores: see the ablations for attention alone)",
        "Figure 5 (a plot): top-1 and top-5 of layer 15 of an 8B model. The authors' nq_results.ipynb prints for their synthetic data "
        "top-1 .988 / .980 / .936 at 100 / 800 / 6,400 facts, their bm25_results.ipynb .999 / .988 / .924 for BM25.",
    ),
    "answers": Claim(
        "answers are about as good as with all facts in context, and better than with none (in context ours says little: the model that "
        "ships was trained to read one fact)",
        "Figure 6a (a plot): BERTScore beside in-context learning. Users of the code: ROUGE-1 .11 and BERTScore F1 .54 across data sets, "
        "in context .10 and .38 (issue 64); ROUGE-1 .17 or .62, by the mode of the script (issue 66); .78 and BERTScore F1 .90 in the best "
        "reproduction, numbers come back wrong (issue 82)†.",
    ),
    "refusal": Claim(
        "what the facts do not answer is refused",
        "Figure 6c (a plot): precision falls as facts grow, more slowly than in context. A user (issue 67, 100 questions): precision and "
        "recall 0 and 0 for KBLaM, .826 and .95 in context.",
    ),
    "several": Claim(
        "questions about several facts are answered from all of them",
        "Figure 6a (a plot): questions about two entities, by BERTScore; no count of answers that hold both.",
    ),
    "open": Claim(
        "open questions are answered from the facts about an entity",
        "Figure 6b (a plot): scored from 0 to 5 by GPT-4. `--judge_endpoint` asks a language model of yours.",
    ),
    "unseen": Claim(
        "what was learnt on synthetic facts holds for others",
        "Figure 5 (a plot) has Enron's mails too. KBLaM trained again by AtlasKV's authors, Enron: top-1 .509 / .255 / .073 at 100 / "
        "1,000 / 10,000 facts†. Questions of real users: .228 at 100†.",
        "--outside FILE",
    ),
    "ablations": Claim(
        "each part is worth its place",
        "Figure 8: a knowledge token in each layer or each third are alike, in each tenth it refuses badly; figure 7: larger encoders are "
        "better (both plots).",
    ),
    "edits": Claim("facts change without training", "Said in the abstract, not measured there."),
    "attention": Claim(
        "one can see which fact an answer rests on",
        "Figure 4: ten facts, layer 15, mean of heads: the column of the fact asked for lights up.",
    ),
    "cost": Claim(
        "time and memory grow linearly with the number of facts",
        "Abstract: linearly, where in-context learning grows quadratically; more than 10,000 facts in an 8B model on one A100 of 80 GB. "
        "Figure 11 (a plot): beside RAG. 180,224 bytes a fact for Llama-3-8B (computed from the code).",
    ),
}  # fmt: skip
"""By the name of the experiment that measures it."""

SOURCES = (
    "Where others' numbers stand: the abstract as ar5iv has it; the authors' notebooks and issues 64, 66 and 67 in microsoft/KBLaM, read on "
    "25 November 2026. The paper's own text could not be opened on the machine this was written on: its figures are named as two public "
    "sets of reading notes on it name them, and because their values can only be read off plots, none is given. Numbers marked † are from "
    "earlier notes of ours on papers and issues that could not be opened again; take them as hearsay."
)
"""How far the numbers of others can be trusted."""
