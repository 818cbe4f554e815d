"""The paper's experiments on any model, each beside its rivals: run, kept piece by piece, drawn and reported."""
