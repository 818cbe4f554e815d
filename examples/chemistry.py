"""A specialist's domain: compounds, reactions and a laboratory's own samples.

Run it: python examples/chemistry.py
"""

from __future__ import annotations

from asking import Case, run

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

if __name__ == "__main__":
    run("chemistry", CASES)
