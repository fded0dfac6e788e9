"""What tests of the door send themselves: presigned URLs, and clients of the root that are made once."""

import datetime
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from unittest import mock

import botocore.auth
from botocore.config import Config
from pipeline_runs import client

from local_cloud.process import Running


def root(cloud: Running) -> Callable[[str], Any]:
    return lambda service: _root(cloud, service)


@cache
def _root(cloud: Running, service: str) -> Any:
    return client(cloud, service)


def s3(cloud: Running, version: str) -> Any:
    return client(cloud, "s3", Config(signature_version=version, s3={"addressing_style": "path"}))


def get(cloud: Running, url: str) -> tuple[int, bytes]:
    context = ssl.create_default_context(cafile=str(cloud.certificate))
    try:
        with urllib.request.urlopen(url, context=context) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@contextmanager
def at(*, minutes: float) -> Iterator[None]:
    """Signs as at another time."""
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    with (
        mock.patch.object(botocore.auth, "get_current_datetime", return_value=then.replace(tzinfo=None)),
        mock.patch.object(botocore.auth.time, "time", then.timestamp),
    ):
        yield
