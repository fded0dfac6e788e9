"""Headrace's command line: upload data, watch the run, approve the model, ask the endpoint."""
