# %% [markdown]
"""
# A company's help desk: forms, devices, rooms and rules

The facts are in `help_desk.jsonl`. Run it as a script, `python examples/help_desk.py`, or open it as a notebook, `help_desk.ipynb`, which
`python examples/notebooks.py` makes of the script.
"""

# %%
from __future__ import annotations

from asking import Case, picture, run

# %% [markdown]
# Each question stands beside the values that its answer must hold: of one fact, of two, or of none, when it must be refused.

# %%
CASES: tuple[Case, ...] = (
    ("What is the form number of the holiday request?", ("HR-11",)),
    ("What is the port of the Northwind VPN?", ("4443",)),
    ("What is the toner of printer Oslo-3?", ("CL-880",)),
    ("Who is the manager of the service desk?", ("Tomasz Wieczorek",)),
    ("How much memory does the developer laptop have?", ("64 GB",)),
    ("What is the password of the guest wifi?", ("harbour-lantern-52",)),
    ("What are the location of printer Oslo-5 and the capacity of meeting room Aurora?", ("room 512", "12 people")),
    (
        "Tell me the deadline of the expense report and the notice period of the holiday request.",
        ("5th", "three weeks"),
    ),
    ("What is the toner of printer Bergen-1?", ()),
    ("What is the salary of Lena Achterberg?", ()),
)

# %% [markdown]
# The answers, and below each the facts that it rests on, with their share of the attention.

# %%
if __name__ == "__main__":
    run("help_desk", CASES)

# %% [markdown]
# The same as a picture: each question down, the facts across, and how much of the question's attention went to each.

# %%
if __name__ == "__main__":
    picture("help_desk", CASES)
