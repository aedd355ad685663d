# `make` alone lists the targets. Nothing here installs system packages or writes outside .venv.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
ALONE := tests/e2e/test_long_run.py# seven weeks in minutes need the machine for themselves
# Byte code is written as modules are first used: 140 MB less on disk, and a faster install.
# Where the shell forbids that, each start of each process would compile all it imports (6 s of CPU).
unexport PYTHONDONTWRITEBYTECODE
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help run test test-interop check bench bench-peers simulate format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

run: .venv/installed ## install into .venv and start the demo (ARGS="--once --json" runs it through once)
	@$(BIN)/timonel demo $(ARGS)

test: .venv/dev ## unit, property, contract and end-to-end tests, with a real PostgreSQL
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -m "not interop and not slow"

test-interop: .venv/interop ## heavy real packages, browsers, long simulations
	$(BIN)/python -m pytest -m "interop or slow" -rs $(ALONE)
	$(BIN)/python -m pytest -n 2 --dist loadfile -m "interop or slow" -rs --ignore $(ALONE)

check: .venv/dev ## ruff, mypy, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-peers: .venv/dev ## by hand: install other model servers, 2.3 GB, into benchmarks/.peers
	$(BIN)/python -m benchmarks.servers

bench: .venv/dev ## measure this server and the installed peers side by side (ARGS="--rounds 5")
	$(BIN)/python -m benchmarks.compare $(ARGS)

simulate: .venv/installed ## false alarms and power of drift and experiments, some minutes (ARGS=--quick: fewer)
	$(BIN)/python benchmarks/drift_simulation.py --out benchmarks/results/drift.md $(ARGS)
	$(BIN)/python benchmarks/text_drift_simulation.py --out benchmarks/results/texts.md $(ARGS)
	$(BIN)/python -m benchmarks.experiment_simulation --out benchmarks/results/experiments.md $(ARGS)
	$(BIN)/python -m benchmarks.ramp_simulation --out benchmarks/results/ramps.md $(ARGS)
	$(BIN)/python -m benchmarks.guardrail_simulation --out benchmarks/results/guardrails.md $(ARGS)
	$(BIN)/python -m benchmarks.choosing_simulation --out benchmarks/results/choosing.md $(ARGS)
	$(BIN)/python -m benchmarks.forecast_simulation --out benchmarks/results/forecasts.md $(ARGS)
	$(BIN)/python -m benchmarks.stock_simulation --out benchmarks/results/stock.md $(ARGS)

format: .venv/dev ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "Timonel needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' is $$($(PYTHON) -V 2>&1)." >&2; \
	  echo "Run: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	@echo "Installing into .venv (about a minute) ..." >&2
	@$(PIP) --editable .
	@touch $@

.venv/dev: .venv/installed
	@$(PIP) --editable '.[dev]'
	@touch $@

.venv/interop: .venv/dev
	@$(PIP) --editable '.[interop]'
	@touch $@
