"""Pipelines and their executions: the API, the engine that runs definitions, and one file per step type."""
