# Headrace: `make help` lists what there is. Everything installs into .venv and node_modules; nothing else is touched.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
ENV ?= local
AWSCLI := 1.46.2
# The project's own python, node and cdk come before any other on PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install demo test prove sdk audit lint synth up down clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: .venv/installed node_modules/installed ## make .venv and node_modules (done by the others when needed)

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'error: $(PYTHON) is older than 3.11' >&2; echo >&2; echo 'hint: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo "installing into .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

node_modules/installed: .venv/installed package-lock.json
	@npm ci --silent --no-fund --no-audit
	@touch $@

# The AWS CLI pins a botocore of its own, so it lives in an environment of its own. The tests use it as a client.
.venv/awscli/installed: .venv/installed
	@$(BIN)/python -m venv .venv/awscli
	@.venv/awscli/bin/python -m pip install --quiet --disable-pip-version-check awscli==$(AWSCLI)
	@touch $@

# AWS's SDK for pipelines has dependencies of its own as well; without torch and mlflow, which these do not import.
.venv/sagemaker/installed: .venv/installed tests/sdk/requirements.txt
	@$(BIN)/python -m venv .venv/sagemaker
	@.venv/sagemaker/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/sdk/requirements.txt
	@touch $@

# And so have the judges of the templates.
.venv/audit/installed: .venv/installed tests/infra/audit/requirements.txt
	@$(BIN)/python -m venv .venv/audit
	@.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/infra/audit/requirements.txt
	@touch $@

demo: install ## digits (or DATA=<folder or archive>) from upload to a served model, here
	@$(BIN)/python -m headrace.demo $(if $(DATA),--data '$(DATA)')

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

synth: install ## the CloudFormation template of ENV (local by default) into cdk.out
	@npx --no-install cdk synth --quiet -c env=$(ENV) && echo cdk.out

up: install ## start the local cloud, with the app deployed into it
	@$(BIN)/headrace up && $(BIN)/headrace deploy

down: ## stop the local cloud; its state stays under .headrace
	@$(BIN)/headrace down

clean: down ## forget the local cloud's state, and the installation
	rm -rf .headrace .venv node_modules cdk.out
