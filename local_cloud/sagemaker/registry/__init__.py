"""The model registry: model package groups, their policies, and the versions in them."""
