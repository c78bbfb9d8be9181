# demo, test, lint, bench and soak each make .venv and install what they need when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help demo test lint format bench soak clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, found $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	$(PIP) install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.installed-tools: $(VENV)/.installed
	$(PIP) install --quiet --constraint constraints.txt --group test --group lint
	touch $@

demo: $(VENV)/.installed  ## make a small archive, run everything over it, write the report (under 2 minutes)
	$(BIN)/anomaly demo

# Byte code is kept, as users keep it; files go in order, so that the long ones do not come last.
test: $(VENV)/.installed-tools  ## all tests but the soak ones
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-tools  ## style, format, types, import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-tools  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-tools  ## measure speed and accuracy; writes docs/measured.md
	$(BIN)/python -m tests.benchmarks

soak: $(VENV)/.installed-tools  ## the full crash and damage counts (hours)
	$(BIN)/python -m pytest -m soak --timeout 7200

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
