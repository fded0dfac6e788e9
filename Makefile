# Headrace: `make help` lists what there is. Everything installs into .venv and node_modules; nothing else is touched.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
ENV ?= local
# Every environment is installed from a lock file (locks/): fixed versions, wheels alone, each with its hash.
INSTALL := locks/install.py
# Which build of torch: cpu, cuda, or auto (cuda where /dev/nvidia0 is).
TORCH ?= auto
# Tests that take more examples, objects or environments with --thorough (tests/support/thorough.py).
THOROUGH := $(addprefix tests/lambda/test_start_pipeline_,property.py run_limits.py size.py) tests/data_sets/test_agreement.py \
  tests/infra/test_synthesis.py
CALLERS_PATH := $(PATH)
# The project's own python, node and cdk come before any other on PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install demo check test test-unit prove conformance sdk audit matrix mutants lint lock shipped synth up down clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed node_modules/installed ## make .venv and node_modules (done by the others when needed)
ifneq ($(origin PYTHON),file)
	@$(BIN)/python $(INSTALL) same '$(PYTHON)'
endif

.venv/installed: pyproject.toml locks/pip.lock locks/project.lock locks/torch-cpu.lock locks/cuda.lock
	@command -v '$(PYTHON)' > /dev/null \
	  || { printf 'error: there is no %s\n\nhint: make install PYTHON=/path/to/python3.11\n' '$(PYTHON)' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { printf 'error: %s is older than 3.11\n\nhint: make install PYTHON=/path/to/python3.11\n' '$(PYTHON)' >&2; exit 1; }
	@'$(PYTHON)' $(INSTALL) project $(TORCH)
	@touch $@

node_modules/installed: .venv/installed package-lock.json
	@$(BIN)/python $(INSTALL) node
	@touch $@

# The AWS CLI pins its own botocore, so it has a separate environment. The tests use it as a client.
.venv/awscli/installed: .venv/installed locks/awscli.lock
	@$(BIN)/python $(INSTALL) tool awscli awscli
	@touch $@

# AWS's SDK for pipelines also has its own dependencies; without torch and mlflow, which these do not import.
.venv/sagemaker/installed: .venv/installed locks/sdk.lock
	@$(BIN)/python $(INSTALL) tool sagemaker sdk --no-deps
	@touch $@

# And so have the judges of the templates.
.venv/audit/installed: .venv/installed locks/audit.lock
	@$(BIN)/python $(INSTALL) tool audit audit --no-deps
	@touch $@

# What these suggest to type next has to run in the shell that make was called from.
demo up down: export PATH := $(CALLERS_PATH)

demo: install ## digits (or DATA=<folder or archive>) from upload to a served model, here
	@$(BIN)/python -m headrace.demo $(if $(DATA),--data '$(DATA)')

check: install ## what you change: environments.toml, prices.toml, training/ and DATA=<folder or archive>; a minute
	@$(BIN)/python -m pytest tests/check -n 2 $(if $(DATA),--data '$(DATA)')

test: install .venv/awscli/installed ## the whole suite, end to end included
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 25 --durations-min 2

test-unit: install ## the tests that start no process and no local cloud; a minute
	@$(BIN)/python -m pytest -n 2 -m 'not process'

prove: install ## what takes longer than the suite: storms, faults, kills (tests/prove)
	@$(BIN)/python -m pytest tests/prove --timeout 900
	@$(BIN)/python -m pytest --thorough --timeout 900 $(THOROUGH)

conformance: install ## which assumptions on AWS hold, in ENV's account, for under 5 USD (YES=1); LOCAL=1: here
	@$(BIN)/python -m tests.conformance --env $(ENV) $(if $(LOCAL),--local) $(if $(YES),--yes)

sdk: install .venv/sagemaker/installed ## AWS's SDK compiles the same pipeline, and drives the local cloud
	@$(BIN)/python -m pytest tests/sdk

audit: install .venv/audit/installed ## Checkov, an IAM linter and a search for secrets: templates, policies, files
	@$(BIN)/python -m pytest tests/infra/test_audit.py

matrix: install ## the demo on each Python and in each place that this machine offers; writes docs/machines.md
	@$(BIN)/python tests/machines/matrix.py $(ROWS)

mutants: install ## changes of the code that no test notices; hours: MUTANTS='--area notify' tries one area
	@$(BIN)/python tests/mutation/mutants.py $(MUTANTS)

lint: install ## style, types, import rules, words
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python tests/support/words.py

lock: ## write the lock files again after a change of versions (uv has to be on PATH)
	@$(PYTHON) locks/compile.py

shipped: ## for Headrace's own developers: the suite tests training/ as it is now
	@$(PYTHON) tests/support/shipped_training.py --write

synth: install ## the CloudFormation template of ENV (local by default) into cdk.out
	@npx --no-install cdk synth --quiet -c env=$(ENV) && echo cdk.out

up: install ## start the local cloud, with the app deployed into it
	@$(BIN)/headrace up && $(BIN)/headrace deploy

down: ## stop the local cloud; its state stays under .headrace
	@$(BIN)/headrace down

# The server ends by itself once its state is gone, so an installation that is not complete can be removed as well.
clean: ## remove the installation, the local cloud's state, and every cache
	@if [ -x $(BIN)/headrace ]; then $(BIN)/headrace down; fi || true
	rm -rf .headrace .venv node_modules cdk.out build *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
	@if [ -n "$$HEADRACE_STATE" ]; then echo "the state in $$HEADRACE_STATE stays: rm -r '$$HEADRACE_STATE' removes it"; fi
