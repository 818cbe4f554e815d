"""A company's help desk: forms, devices, rooms and rules.

Run it: python examples/help_desk.py
"""

from __future__ import annotations

from asking import Case, run

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

if __name__ == "__main__":
    run("help_desk", CASES)
