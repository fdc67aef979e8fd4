# make demo | make test: each does all its own set-up in .venv from a fresh clone.
#
# make test-tfx does the same in .venv-tfx, since TFX brings 150 packages of its own.
#
# PYTHON=... names the interpreter (3.10 or 3.11); PYTEST_ARGS=... is handed to pytest.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TFX := .venv-tfx
TFX_STAMP := $(TFX)/.installed
PYTEST_ARGS ?=

# The first of these that runs and is a supported version.
PYTHON ?= $(shell for python in python3.11 python3.10 python3 python; do \
	$$python -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 11))' \
	2>/dev/null && echo $$python && break; done)

.PHONY: help install install-tfx demo methods test test-slow test-tfx bench clean

help:
	@echo "make install    .venv with all that is needed"
	@echo "make demo       the whole chain on the simulated shop (runs/demo/report.html)"
	@echo "make methods    every pre-training method and ablation on the simulated shop"
	@echo "make test       style, types, tests"
	@echo "make test-slow  the tests that take minutes"
	@echo "make test-tfx   the TFX pipeline's tests, with TFX in .venv-tfx"
	@echo "make bench      measure, and write docs/results/benchmarks.md"
	@echo "make clean      remove .venv, .venv-tfx, caches and build products; runs/ stays"

install: $(STAMP)

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "tfrec-vis needs Python 3.10 or 3.11: install one," \
		"or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@if command -v uv >/dev/null; then \
		set -ex; \
		test -x $(BIN)/python || uv venv --python "$$(command -v $(PYTHON))" $(VENV); \
		uv pip install --python $(BIN)/python -c constraints.txt -e ".[dev]"; \
	else \
		set -ex; \
		test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV); \
		$(BIN)/python -m pip install -c constraints.txt -e ".[dev]"; \
	fi
	@touch $@

demo: install
	$(BIN)/tfrec-vis demo

methods: install
	$(BIN)/python pipelines/compare_methods.py

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=15 $(PYTEST_ARGS)

test-slow: install
	$(BIN)/python -m pytest --durations=15 -m slow $(PYTEST_ARGS)

install-tfx: $(TFX_STAMP)

$(TFX_STAMP): setup.cfg pyproject.toml constraints.txt constraints-tfx.txt
	@test -n "$(PYTHON)" || { echo "TFX needs Python 3.10 or 3.11: install one," \
		"or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@set -ex; \
		test -x $(TFX)/bin/pip || $(PYTHON) -m venv $(TFX); \
		$(TFX)/bin/pip install -q -c constraints-tfx.txt -e ".[tfx]" pytest; \
		$(TFX)/bin/pip install -q --no-deps --ignore-requires-python \
			tfx==1.16.0 ml-pipelines-sdk==1.16.0
	@touch $@

test-tfx: install-tfx
	$(TFX)/bin/python -m pytest --durations=5 $(PYTEST_ARGS) tests/tfx_components

bench: install
	$(BIN)/python tests/benchmarks/run.py

clean:
	rm -rf $(VENV) $(TFX) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
