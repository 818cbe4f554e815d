"""A course's teaching material: its topics, its dates, its people.

Run it: python examples/course.py
"""

from __future__ import annotations

from asking import Case, run

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

if __name__ == "__main__":
    run("course", CASES)
