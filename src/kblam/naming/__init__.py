"""Which things of a knowledge base a question names, in full, in part or misspelt."""
