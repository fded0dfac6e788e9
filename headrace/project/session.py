"""A boto3 session that the user's AWS configuration cannot reach, for the local cloud."""

from __future__ import annotations

import os

import boto3
import botocore.session
from botocore.config import Config

# The default of 10 makes the 16 upload threads wait for each other.
CONNECTIONS = 32


def isolated_session(account: str, secret_key: str, region: str) -> boto3.Session:
    """A session as the account's root in the local cloud, which reads no AWS_* variable and no file under ~/.aws.

    There the access key ID of a root is its account number.

    Every configuration variable botocore knows keeps its built-in default, but loses the environment variable and
    the configuration key it would be read from; the configuration and credentials files are the empty file. So a
    mistyped command cannot reach the account of somebody's AWS_PROFILE.
    """
    variables = {
        name: (None, None, default, convert)
        for name, (_, _, default, convert) in botocore.session.Session.SESSION_VARIABLES.items()
    }
    for file in ("config_file", "credentials_file"):
        variables[file] = (None, None, os.devnull, None)
    core = botocore.session.Session(session_vars=variables)
    return boto3.Session(
        aws_access_key_id=account,
        aws_secret_access_key=secret_key,
        region_name=region,
        botocore_session=core,
    )


def isolated_config() -> Config:
    """What a client of the local cloud needs beyond its session.

    No proxy: HTTPS_PROXY would otherwise be asked for localhost. Path-style S3: bucket.localhost resolves only on
    some systems. Endpoint and certificate are passed to the client, which puts them before AWS_ENDPOINT_URL* and
    AWS_CA_BUNDLE.
    """
    return Config(
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "max_attempts": 2},  # it is there or not: no use in waiting long
        proxies={},
        s3={"addressing_style": "path"},
        ignore_configured_endpoint_urls=True,
    )


def users_config() -> Config:
    return Config(max_pool_connections=CONNECTIONS, retries={"mode": "standard", "max_attempts": 5})
