# Needs python3 (3.11 or newer) and make; uses uv when it is there, else venv and pip. `make` lists the targets.
# PYTHON=/path/to/python picks another interpreter; ARGS="--port 3050" goes to the server or to pytest.

SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
CLIENTS := tests/clients
CODEX := $(CLIENTS)/codex
CLAUDE := $(CLIENTS)/claude
NODE_CLIENTS := $(patsubst %,%/node_modules/.installed,$(CLIENTS) $(CODEX) $(CLAUDE))
CLIENTS_VENV := .venv-clients
DEPLOY := tests/deploy
DEPLOY_VENV := .venv-deploy
LAMBDA_VENV := .venv-lambda
LITELLM_VENV := .venv-litellm
BENCH_VENV := .venv-bench
ADAPTER := build/lambda-adapter
UV := $(shell command -v uv 2>/dev/null)

# .python-version is for Vercel. Where it makes pyenv's python3 fail, the interpreter is asked for outside this folder.
PROBE := import sys; print(sys.executable if sys.version_info >= (3, 11) else "")
BASE_PYTHON = $(or $(shell $(PYTHON) -c '$(PROBE)' 2>/dev/null),$(shell cd / && $(PYTHON) -c '$(PROBE)' 2>/dev/null))

# The deployed runtimes are Python 3.12 (.python-version, serverless.yml), whatever .venv has.
FIND_PYTHON_3_12 = for python in python3.12 "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.12.*/bin/python \
    "$$(uv python find 3.12 2>/dev/null)"; do \
    "$$python" -c 'import sys; assert sys.version_info[:2] == (3, 12); print(sys.executable)' 2>/dev/null && break; done
PYTHON_3_12 ?= $(shell $(FIND_PYTHON_3_12))
IN_3_12 = $(MAKE) --silent --no-print-directory PYTHON="$(PYTHON_3_12)"

ifdef UV
MAKE_VENV = $(UV) venv --quiet --seed --allow-existing --no-project --python "$(BASE_PYTHON)" $(VENV)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --require-hashes --requirements
else
MAKE_VENV = "$(BASE_PYTHON)" -m venv $(VENV)
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement
endif

.PHONY: help install run test fuzz test-clients test-deploy deploy-vercel deploy-lambda package lint format bench \
    bench-peers bench-cold lock clean python-3.12
.DELETE_ON_ERROR:

help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

install: $(VENV)/.run ## make .venv with what the gateway needs

run: $(VENV)/.run ## serve on http://127.0.0.1:3040 (HOST, PORT)
	@$(BIN)/python -m api $(ARGS)

test: $(VENV)/.dev ## run the tests that need Python only
	@$(BIN)/python -m pytest -q $(ARGS)

fuzz: $(VENV)/.dev ## try the properties on new cases, about a quarter of an hour
	@$(BIN)/python -m pytest -q -m hypothesis --hypothesis-profile=fuzz $(ARGS)

test-clients: $(VENV)/.dev $(NODE_CLIENTS) ## run SDKs and agents against it
	@$(MAKE) --no-print-directory VENV=$(CLIENTS_VENV) $(CLIENTS_VENV)/.clients
	@$(BIN)/python -m pytest -q -m clients $(ARGS)

test-deploy: python-3.12 $(VENV)/.dev $(DEPLOY)/node_modules/.installed $(ADAPTER)/bin/lambda-adapter ## prove both deployments on the platforms' own runtimes
	@$(IN_3_12) VENV=$(DEPLOY_VENV) $(DEPLOY_VENV)/.deploy
	@$(IN_3_12) VENV=$(LAMBDA_VENV) $(LAMBDA_VENV)/.lambda
	@$(BIN)/python -m pytest -q -m deploy $(ARGS)

deploy-vercel: $(DEPLOY)/node_modules/.installed ## deploy to Vercel; `vercel login` or VERCEL_TOKEN says as whom
	@$(DEPLOY)/node_modules/.bin/vercel deploy --prod --build-env VERCEL_PYTHON_COMPILEALL=1 $(ARGS)

deploy-lambda: package $(DEPLOY)/node_modules/.installed ## deploy to AWS Lambda (ARGS="--stage prod --region eu-west-1")
	@$(DEPLOY)/node_modules/.bin/osls deploy $(ARGS)

package: python-3.12 ## build the AWS Lambda package, build/lambda.zip
	@$(IN_3_12) VENV=$(LAMBDA_VENV) $(LAMBDA_VENV)/bin/python
	@$(LAMBDA_VENV)/bin/python .ci/package_lambda.py

lint: $(VENV)/.dev ## check form, rules and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/.dev ## write every file in its form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(VENV)/.dev ## measure the gateway beside its peers, about ten minutes (ARGS=--quick: two)
	@$(BIN)/python -m bench.run --litellm $(BENCH_VENV)/bin/litellm $(ARGS)

bench-peers: $(VENV)/.dev ## install LiteLLM's proxy, which make bench then measures too
	@$(MAKE) --no-print-directory VENV=$(BENCH_VENV) $(BENCH_VENV)/.bench

bench-cold: $(VENV)/.dev package ## measure the cold start on AWS Lambda against that of fastapi and litellm
	@$(IN_3_12) VENV=$(LAMBDA_VENV) $(LAMBDA_VENV)/.lambda
	@$(IN_3_12) VENV=$(LITELLM_VENV) $(LITELLM_VENV)/.litellm
	@$(BIN)/python -m bench.cold_start --rival $(LITELLM_VENV)/bin/python $(ARGS)

# Vercel installs from uv.lock; the requirements are exported from it. It names PyPI itself, not a mirror of this machine.
lock: ## choose the newest versions that pyproject.toml allows (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: https://docs.astral.sh/uv" >&2; exit 1; }
	@set -e; \
	export_lock() { uv export --quiet --frozen --no-emit-project --extra serve "$$@" >/dev/null; }; \
	compile() { uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	    --no-annotate --custom-compile-command "make lock" --upgrade "$$@"; }; \
	uv lock --quiet --upgrade --default-index https://pypi.org/simple; \
	export_lock --output-file requirements-dev.lock; \
	export_lock --no-dev --no-annotate --output-file requirements.lock; \
	compile --python-version 3.11 requirements-clients.in --output-file requirements-clients.lock; \
	compile --python-version 3.12 --constraints requirements.lock requirements-deploy.in \
	    --output-file requirements-deploy.lock; \
	compile --python-version 3.11 requirements-bench.in --output-file requirements-bench.lock; \
	compile --python-version 3.12 $(DEPLOY)/lambda.in --output-file $(DEPLOY)/lambda.lock

clean: ## remove what the other targets made
	@rm -rf $(VENV) $(CLIENTS_VENV) $(DEPLOY_VENV) $(LAMBDA_VENV) $(LITELLM_VENV) $(BENCH_VENV) build .serverless
	@rm -rf $(CLIENTS)/node_modules $(CODEX)/node_modules $(CLAUDE)/node_modules $(DEPLOY)/node_modules
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
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

# Codex CLI takes 404 MB and Claude Code 364 MB, so they are installed apart from the SDKs.
$(NODE_CLIENTS) $(DEPLOY)/node_modules/.installed: %/node_modules/.installed: %/package-lock.json
	@command -v node >/dev/null || { echo "the npm packages of $* need node, which was not found" >&2; exit 1; }
	@command -v npm >/dev/null || { echo "the npm packages of $* need npm, which was not found" >&2; exit 1; }
	@cd $* && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# LangChain and instructor are heavy and hold openai back, so they have an environment of their own.
$(VENV)/.clients: requirements-clients.lock | $(BIN)/python
	@$(INSTALL) requirements-clients.lock
	@touch $@

# Vercel's runtime runs the gateway from the checkout, so this environment holds the gateway's own packages too.
$(VENV)/.deploy: requirements-deploy.lock requirements.lock | $(BIN)/python
	@$(INSTALL) requirements.lock
	@$(INSTALL) requirements-deploy.lock
	@touch $@

# AWS's runtime client, beside which only the package may be.
$(VENV)/.lambda: $(DEPLOY)/lambda.lock | $(BIN)/python
	@$(INSTALL) $(DEPLOY)/lambda.lock
	@touch $@

# What the cold start is compared with: a gateway as it is often built. Only the benchmark needs it.
$(VENV)/.litellm: | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check fastapi mangum litellm
	@touch $@

# A peer of the benchmark, as its makers serve it: the proxy with everything it needs.
$(VENV)/.bench: requirements-bench.lock | $(BIN)/python
	@$(INSTALL) requirements-bench.lock
	@touch $@

$(ADAPTER)/bin/lambda-adapter: $(DEPLOY)/adapter-version
	@command -v cargo >/dev/null || { \
	    echo "AWS's Lambda Web Adapter is built with cargo, which was not found: https://rustup.rs" >&2; exit 1; }
	@cargo install lambda_web_adapter --version "$$(cat $<)" --locked --quiet --root $(ADAPTER)
	@touch $@

python-3.12:
	@[ -n "$(PYTHON_3_12)" ] || { \
	    echo "the platforms run Python 3.12, which was not found: try make PYTHON_3_12=/path/to/python3.12" >&2; exit 1; }
