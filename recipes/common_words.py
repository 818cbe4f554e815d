"""Write the words of ordinary questions, which name nothing by themselves: `python recipes/common_words.py`.

From the questions and names of the synthetic properties. Writes `src/kblam/naming/common_words.txt`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from kblam.synthesis.properties import PROPERTIES

PATH = Path(__file__).parent.parent / "src" / "kblam" / "naming" / "common_words.txt"
ENOUGH = 2
"""A word that stands there less often is not common."""
LOWER = re.compile("(?<![A-Za-z'’])[a-z]{2,}(?![A-Za-z])")


def common_words() -> list[str]:
    """Words in lower case, in the order of the alphabet."""
    counts: Counter[str] = Counter()
    for item in PROPERTIES:
        for text in (item.name, item.theme, *item.paraphrases):
            counts.update(LOWER.findall(text.replace("{e}", "")))
    return sorted(word for word, count in counts.items() if count >= ENOUGH)


if __name__ == "__main__":
    PATH.write_text("\n".join(common_words()) + "\n", encoding="utf-8")
