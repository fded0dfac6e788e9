"""Fixtures of this folder: the app, deployed once, and images."""

from deployed_app import deployed, images

__all__ = ["deployed", "images"]
