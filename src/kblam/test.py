"""Check this installation: `python -m kblam.test`; a line for each check, exit code 1 when one fails."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from kblam.doors import run_door
from kblam.errors import KBLaMError

if TYPE_CHECKING:
    from kblam import KBLaM

__all__ = ["CHECKS", "main"]

REINSTALL = "install kblam again with `pip install -e .`"


class _FailedError(Exception):
    """A check found something else than it should; the message says what and what to do."""


def versions() -> str:
    """The packages that kblam stands on can be imported."""
    import safetensors
    import torch
    import transformers

    from kblam.version import __version__

    packages = ((module.__name__, module.__version__) for module in (torch, transformers, safetensors))
    named = ", ".join(f"{name} {version}" for name, version in packages)
    return f"kblam {__version__} on Python {platform.python_version()}, {named}"


def weights() -> str:
    """The weights of the shipped model are the ones that were trained."""
    from kblam.models.shipped import default_hashes

    hashes = default_hashes()
    changed = [name for name, (expected, actual) in hashes.items() if expected != actual]
    if changed:
        raise _FailedError(f"{', '.join(changed)} not as shipped (another SHA-256); {REINSTALL}")
    return f"shipped weights: {len(hashes)} files, SHA-256 as recorded"


def question() -> str:
    """A question gets the value of its fact, and cites the fact."""
    answer = _model().ask("AI是什么?")
    if answer.refused or "模拟人类智能的技术" not in answer.text or answer.citations[0].triple.entity != "AI":
        raise _FailedError(f"AI是什么? was answered {answer.text!r}; {REINSTALL}")
    best = answer.citations[0]
    return f"AI是什么? {answer.text}  [{best.triple.entity} · {best.triple.property}, {best.weight:.0%}]"


def refusal() -> str:
    """A question that no fact answers is refused."""
    asked = "What is the boiling point of krypton?"
    answer = _model().ask(asked)
    if not answer.refused:
        raise _FailedError(f"{asked} was answered {answer.text!r} though no fact says it; {REINSTALL}")
    return f"{asked} {answer.text}"


CHECKS: tuple[Callable[[], str], ...] = (versions, weights, question, refusal)


@cache
def _model() -> KBLaM:
    from kblam import KBLaM, KnowledgeBase
    from kblam.ask import EXAMPLE_FACTS

    model = KBLaM.from_pretrained("default")
    model.attach(KnowledgeBase.from_file(EXAMPLE_FACTS))
    return model


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every check and print a line for each; exit with 1 when one failed."""
    argparse.ArgumentParser(
        prog="kblam test",
        description="Check this installation in a few seconds: packages, shipped weights, one question, one refusal.",
        epilog="example: python -m kblam.test",
    ).parse_args(arguments)
    passed = [_passes(check) for check in CHECKS]
    if not all(passed):
        raise SystemExit(1)
    print("kblam works.")


def _passes(check: Callable[[], str]) -> bool:
    try:
        print("✓", check(), flush=True)
    except (KBLaMError, _FailedError) as error:
        print(f"✗ {check.__name__}: {error}", flush=True)
    except Exception as error:  # an installation can be broken in any way, and the user needs the sentence
        print(f"✗ {check.__name__}: {type(error).__name__}: {error}; {REINSTALL}", flush=True)
    else:
        return True
    return False


if __name__ == "__main__":
    raise SystemExit(run_door(main))
