"""Runs pipeline definitions: parse, check, resolve, run; one file per step type under ``steps/``."""
