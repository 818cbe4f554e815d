# %% [markdown]
"""
# A specialist's domain: compounds, reactions and a laboratory's own samples

The facts are in `chemistry.jsonl`. Run it as a script, `python examples/chemistry.py`, or open it as a notebook, `chemistry.ipynb`, which
`python examples/notebooks.py` makes of the script.
"""

# %%
from __future__ import annotations

from asking import Case, picture, run

# %% [markdown]
# Each question stands beside the values that its answer must hold: of one fact, of two, or of none, when it must be refused.

# %%
CASES: tuple[Case, ...] = (
    ("What is the melting point of aspirin?", ("136 °C",)),
    ("At what temperature does acetone boil?", ("56 °C",)),
    ("What is the molecular formula of caffeine?", ("C8H10N4O2",)),
    ("What is the catalyst of the Suzuki coupling?", ("palladium",)),
    ("Who was the chemist of sample K-17?", ("Ines Okafor",)),
    ("What is the melting point of acetylsalicylic acid?", ("136 °C",)),
    ("What are the boiling point of toluene and the density of ethanol?", ("111 °C", "0.789 g/mL")),
    ("What is the yield of sample K-17 and the purity of sample K-18?", ("84 %", "97.5 %")),
    ("What is the melting point of ibuprofen?", ()),
    ("What is the purity of sample K-17?", ()),
)

# %% [markdown]
# The answers, and below each the facts that it rests on, with their share of the attention.

# %%
if __name__ == "__main__":
    run("chemistry", CASES)

# %% [markdown]
# The same as a picture: each question down, the facts across, and how much of the question's attention went to each.

# %%
if __name__ == "__main__":
    picture("chemistry", CASES)
