"""Fixtures of this folder: the app, deployed once, images, and the states that the app is brought to."""

from builds_on import pytest_collection_modifyitems, pytest_runtest_makereport, pytest_runtest_setup
from deployed_app import deployed, images
from states import first_run, refused_run, served, subscribed

__all__ = [
    "deployed",
    "first_run",
    "images",
    "pytest_collection_modifyitems",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "refused_run",
    "served",
    "subscribed",
]
