"""The model package group, and what other accounts have of it."""
