# The two commands that matter on a bare machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp

.DEFAULT_GOAL := help
.PHONY: help setup demo test check bench clean

help: ## this list
	@grep -hE '^[a-z]+:.*?## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*?## (.*)/  make \1\t\2/' | expand -t 16

setup: $(STAMP) ## the virtual environment, the packages, the models
	@$(BIN)/omnirecall models pull

$(STAMP): pyproject.toml tools/set_up.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh tools/set_up.sh
	@touch $(STAMP)

demo: setup ## one film through the whole house: index it, ask eight questions, draw its timeline
	@$(BIN)/omnirecall demo

check: setup ## ruff, mypy strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check ## check, and every test; the demo is one of them
	@$(BIN)/omnirecall demo --film-only
	$(BIN)/python -P -m pytest

bench: setup ## the measurements, each beside a baseline of the same run
	$(BIN)/python -m tools.bench_ask
	$(BIN)/python -m tools.bench_live

clean: ## removes what setup made; models and stores stay
	rm -rf $(VENV) build *.egg-info
