"""The function that deploys approved models, and the cleanup of what it made."""
