# Two commands a newcomer needs: `make demo` and `make test`. Both set up their own virtual environment first.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
UV     := 0.13.8
MARKS  ?= not slow

.PHONY: setup demo test test-all lint unit lock clean

setup: $(STAMP)

# uv hard-links from its cache, so the second environment on a machine takes seconds.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV)"
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable ".[dev]"
	touch $@

test: lint unit

# Also what is marked slow: minutes more.
test-all: lint
	$(MAKE) unit MARKS=

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# On two cores, whole files, in the order of their names: tests/jobs, which takes longest, comes first.
unit: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=30 --durations-min=5 -m "$(MARKS)"

demo: $(STAMP)
	$(BIN)/landmarks demo configs/demo.yaml

# Re-pin: resolves pyproject.toml for every supported Python at once.
lock:
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --no-annotate --no-header --output-file constraints.txt

clean:
	rm -rf outputs .pytest_cache .mypy_cache .ruff_cache
