# Everything that pip installs goes into .venv, with a mark for each set of requirements that is there.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
NOTEBOOK := notebooks/quickstart.ipynb

export DEBIAN_FRONTEND := noninteractive

.PHONY: help demo lab test test-v2 stress lint packages benchmark clean

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

demo: .venv/installed-demo ## Build and run containers in the quickstart notebook, and show what it shows
	$(BIN)/dockmagic image bootstrap busybox
	$(BIN)/python scripts/show_notebook.py $(NOTEBOOK) notebooks/executed

lab: .venv/installed-lab ## Open the quickstart notebook in JupyterLab
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) $(NOTEBOOK)

test: packages .venv/installed-test ## Install what the tests need, then run them all, and check style and types
	scripts/run-tests.sh

test-v2: packages .venv/installed-test ## Run the tests of containers once more, on a kernel with cgroup v2 alone
	scripts/run-tests-v2.sh

stress: packages .venv/installed-test ## Start, end and kill containers by the thousand
	DOCKMAGIC_STRESS=full $(BIN)/pytest -s tests/integration/test_stress.py

lint: .venv/installed-test ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

packages: ## Install the Debian packages that the tests use
	scripts/install-packages.sh tests/system-packages.txt

benchmark: packages .venv/installed-test ## Measure what starts, builds and transfers cost, beside other container tools
	$(BIN)/python -m tests.benchmarks.load
	$(BIN)/python -m tests.benchmarks.start
	$(BIN)/python -m tests.benchmarks.build
	$(BIN)/python -m tests.benchmarks.transfer
	$(BIN)/python -m tests.benchmarks.logs
	$(BIN)/python -m tests.benchmarks.network

clean: ## Remove everything that was made here
	rm -rf .venv notebooks/executed tests/browser/artifacts tests/benchmarks/results

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or later is needed: make PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/installed-%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@
