# Headrace: `make help` lists what there is. Everything installs into .venv and node_modules; nothing else is touched.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
ENV ?= local
# Every environment is installed from a lock file (locks/): fixed versions, wheels alone, each with its hash.
LOCKED := --quiet --disable-pip-version-check --require-hashes --only-binary :all:
# The project's own python, node and cdk come before any other on PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install demo check test prove sdk audit lint lock shipped synth up down clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed node_modules/installed ## make .venv and node_modules (done by the others when needed)

.venv/installed: pyproject.toml locks/pip.lock locks/project.lock locks/cuda.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'error: $(PYTHON) is older than 3.11' >&2; echo >&2; echo 'hint: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo "installing into .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install $(LOCKED) -r locks/pip.lock
	@$(BIN)/python -m pip install $(LOCKED) -r locks/project.lock -c locks/cuda.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  --no-build-isolation --editable .
	@touch $@

node_modules/installed: .venv/installed package-lock.json
	@npm ci --silent --no-fund --no-audit
	@touch $@

# The AWS CLI pins a botocore of its own, so it lives in an environment of its own. The tests use it as a client.
.venv/awscli/installed: .venv/installed locks/awscli.lock
	@$(BIN)/python -m venv .venv/awscli
	@$(BIN)/python -m pip --python .venv/awscli install $(LOCKED) -r locks/awscli.lock
	@touch $@

# AWS's SDK for pipelines has dependencies of its own as well; without torch and mlflow, which these do not import.
.venv/sagemaker/installed: .venv/installed locks/sdk.lock
	@$(BIN)/python -m venv .venv/sagemaker
	@$(BIN)/python -m pip --python .venv/sagemaker install $(LOCKED) --no-deps -r locks/sdk.lock
	@touch $@

# And so have the judges of the templates.
.venv/audit/installed: .venv/installed locks/audit.lock
	@$(BIN)/python -m venv .venv/audit
	@$(BIN)/python -m pip --python .venv/audit install $(LOCKED) --no-deps -r locks/audit.lock
	@touch $@

demo: install ## digits (or DATA=<folder or archive>) from upload to a served model, here
	@$(BIN)/python -m headrace.demo $(if $(DATA),--data '$(DATA)')

check: install ## what you change: environments.toml, prices.toml, training/ and DATA=<folder or archive>; a minute
	@$(BIN)/python -m pytest tests/check -n 2 $(if $(DATA),--data '$(DATA)')

test: install .venv/awscli/installed ## the whole suite, end to end included
	@$(BIN)/python -m pytest -n 2 --dist loadfile

prove: install ## what takes longer than the suite: storms, faults, kills (tests/prove)
	@$(BIN)/python -m pytest tests/prove --timeout 900

sdk: install .venv/sagemaker/installed ## AWS's SDK compiles the same pipeline, and drives the local cloud
	@$(BIN)/python -m pytest tests/sdk

audit: install .venv/audit/installed ## Checkov, an IAM linter and a search for secrets: templates, policies, files
	@$(BIN)/python -m pytest tests/infra/test_audit.py

lint: install ## style, types, import rules, CloudFormation
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

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

clean: down ## forget the local cloud's state, and the installation
	rm -rf .headrace .venv node_modules cdk.out
