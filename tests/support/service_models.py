"""boto3 reads AWS's service models in each session; the suite makes thousands of sessions, and reads each file once.

A test of the command line spent two thirds of its time on it (50 ms for endpoints.json, 90 ms for SageMaker's model).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.loaders

_read = botocore.loaders.JSONFileLoader().load_file


@cache
def _once(path: str) -> Any:
    return _read(path)


def read_service_models_once() -> None:
    """botocore shares what it has read among the clients of a session, and so does not change it."""
    botocore.loaders.JSONFileLoader.load_file = lambda _, path: _once(path)
