# Two commands for a fresh machine with Python 3.10 or newer: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# With a busy neighbour, threads that spin while they wait are many times slower than threads that sleep.
export OMP_WAIT_POLICY ?= passive

.PHONY: demo test test-slow clean

demo: $(VENV)/.demo
	$(BIN)/kblam ask "AI是什么?"

test: export HF_HUB_OFFLINE = 1
test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -q

# Kill tests, load tests, training runs, a browser: half an hour.
test-slow: export HF_HUB_OFFLINE = 1
test-slow: $(VENV)/.test
	$(BIN)/pytest -q -m slow

$(VENV)/.demo: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), which takes a minute or two ..."
	$(BIN)/python -m pip install --quiet --editable . --constraint constraints.txt
	touch $@

$(VENV)/.test: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), which takes a minute or two ..."
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	touch $@ $(VENV)/.demo

clean:
	rm -rf .venv
