# %% [markdown]
"""
# A course's teaching material: its topics, its dates, its people

The facts are in `course.jsonl`. Run it as a script, `python examples/course.py`, or open it as a notebook, `course.ipynb`, which
`python examples/notebooks.py` makes of the script.
"""

# %%
from __future__ import annotations

from asking import Case, picture, run

# %% [markdown]
# Each question stands beside the values that its answer must hold: of one fact, of two, or of none, when it must be refused.

# %%
CASES: tuple[Case, ...] = (
    ("Who is the lecturer of Algorithms 201?", ("Dr. Amara Osei",)),
    ("What is the worst-case time of merge sort?", ("O(n log n)",)),
    ("Who is the inventor of quicksort?", ("Tony Hoare",)),
    ("What is the due date of exercise sheet 2?", ("26 March",)),
    ("What is the data structure of breadth-first search?", ("queue",)),
    ("Who invented heapsort?", ("J. W. J. Williams",)),
    (
        "What are the topic of exercise sheet 1 and the due date of exercise sheet 3?",
        ("asymptotic notation", "9 April"),
    ),
    ("Tell me the duration of the final exam and the time of the office hour.", ("120 minutes", "Thursday 14:00")),
    ("Who is the inventor of bubble sort?", ()),
    ("What is the due date of exercise sheet 9?", ()),
)

# %% [markdown]
# The answers, and below each the facts that it rests on, with their share of the attention.

# %%
if __name__ == "__main__":
    run("course", CASES)

# %% [markdown]
# The same as a picture: each question down, the facts across, and how much of the question's attention went to each.

# %%
if __name__ == "__main__":
    picture("course", CASES)
