# Needs python3 (3.11 or newer) and make; uses uv when it is there, else venv and pip. `make` lists the targets.
# PYTHON=/path/to/python picks another interpreter; ARGS="--port 3050" goes to the server or to pytest.

SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
CLIENTS := tests/clients
CODEX := $(CLIENTS)/codex
CLIENTS_VENV := .venv-clients
UV := $(shell command -v uv 2>/dev/null)

# .python-version is for Vercel. Where it makes pyenv's python3 fail, the interpreter is asked for outside this folder.
PROBE := import sys; print(sys.executable if sys.version_info >= (3, 11) else "")
BASE_PYTHON = $(or $(shell $(PYTHON) -c '$(PROBE)' 2>/dev/null),$(shell cd / && $(PYTHON) -c '$(PROBE)' 2>/dev/null))

ifdef UV
MAKE_VENV = $(UV) venv --quiet --allow-existing --no-project --python "$(BASE_PYTHON)" $(VENV)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --require-hashes --requirements
else
MAKE_VENV = "$(BASE_PYTHON)" -m venv $(VENV)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement
endif

.PHONY: help install run test test-clients lint format bench lock clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

install: $(VENV)/.run ## make .venv with what the gateway needs

run: $(VENV)/.run ## serve on http://127.0.0.1:3040 (HOST, PORT)
	@$(BIN)/python -m api $(ARGS)

test: $(VENV)/.dev ## run the tests that need Python only
	@$(BIN)/python -m pytest -q $(ARGS)

test-clients: $(VENV)/.dev $(CLIENTS)/node_modules/.installed $(CODEX)/node_modules/.installed ## run SDKs and agents against it
	@$(MAKE) --no-print-directory VENV=$(CLIENTS_VENV) $(CLIENTS_VENV)/.clients
	@$(BIN)/python -m pytest -q -m clients $(ARGS)

lint: $(VENV)/.dev ## check form, rules and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/.dev ## write every file in its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## measure the gateway
	@$(BIN)/python -m bench.run $(ARGS)

lock: ## choose the newest versions that pyproject.toml allows (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv" >&2; exit 1; }
	@set -e; \
	compile() { uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml "$$@"; }; \
	compile --upgrade --extra serve --group dev --output-file requirements-dev.lock; \
	compile --extra serve --constraints requirements-dev.lock --no-annotate --output-file requirements.lock; \
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-annotate --custom-compile-command "make lock" --upgrade requirements-clients.in \
	    --output-file requirements-clients.lock

clean: ## remove what the other targets made
	@rm -rf $(VENV) $(CLIENTS_VENV) $(CLIENTS)/node_modules $(CODEX)/node_modules build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find api core tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@if [ -z "$(BASE_PYTHON)" ]; then \
	    echo "Isthmus needs Python 3.11 or newer, and '$(PYTHON)' is not: try make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@$(MAKE_VENV) || { rm -rf $(VENV); \
	    echo "could not make $(VENV); on Debian and Ubuntu: apt install python3-venv, then try again" >&2; exit 1; }

$(VENV)/.run: requirements.lock | $(BIN)/python
	@$(INSTALL) requirements.lock
	@touch $@

# The development lock holds everything the other one does, in the same versions.
$(VENV)/.dev: requirements-dev.lock requirements.lock | $(BIN)/python
	@$(INSTALL) requirements-dev.lock
	@touch $(VENV)/.run $@

# Codex CLI takes 404 MB, so it is installed apart from the SDKs.
$(CLIENTS)/node_modules/.installed $(CODEX)/node_modules/.installed: %/node_modules/.installed: %/package-lock.json
	@command -v node >/dev/null || { echo "the npm clients need node, which was not found" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "the npm clients need npm, which was not found" >&2; exit 1; }
	@cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# LangChain and instructor are heavy and hold openai back, so they have an environment of their own.
$(VENV)/.clients: requirements-clients.lock | $(BIN)/python
	@$(INSTALL) requirements-clients.lock
	@touch $@
