"""What the SageMaker service needs of the cloud around it, and the clients it uses to act as a role.

`Cloud` is the seam to ministack: `local_cloud.ministack.cloud` implements it, tests use a small fake.
"""

import datetime
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import RefreshableCredentials

from local_cloud.sagemaker.core.errors import AccessDenied
from local_cloud.sagemaker.core.store import Scope

_PRINCIPAL = "sagemaker.amazonaws.com"
_ROOT_LIFE = 24 * 3600.0  # a root's keys do not expire; botocore's refreshable credentials need a time


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key_id: str
    secret_access_key: str
    session_token: str
    expiration: float | None = None
    """In seconds since the epoch; None for an account's root."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where the cloud's own API answers, and the certificate that proves it."""

    endpoint: str
    certificate: str


class Cloud(Protocol):
    gateway: Gateway

    def assume(self, role_arn: str, source_arn: str) -> Credentials:
        """New credentials of the role, for SageMaker on behalf of ``source_arn``; they expire.

        Raises AccessDenied if the role's trust policy does not let SageMaker assume it for that source.
        """

    def prolong(self, credentials: Credentials) -> None:
        """Moves their expiration, for a process that has no way to get new ones."""

    def end(self, credentials: Credentials) -> None:
        """Makes them invalid now."""

    def require_trust(self, role_arn: str, service: str, source_arn: str) -> None:
        """Raises AccessDenied unless the role is there and lets ``service`` assume it on behalf of ``source_arn``."""

    def administrator(self, account: str) -> Credentials:
        """The account's own credentials: for what SageMaker does in the caller's name, whose permissions it checked."""

    def publish(self, scope: Scope, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        """Puts an ``aws.sagemaker`` event on the default event bus of the account."""


def _refuse(policy: str | None, action: str, resource_arn: str) -> None:
    raise AccessDenied(f"{action} on {resource_arn} is not for the service itself: another account owns it")


@dataclass(frozen=True, slots=True)
class Call:
    """One API call: whose account and region, and a check of further permissions of the caller."""

    scope: Scope
    authorize: Callable[..., None]
    """``authorize(action, resource_arn, **context)`` raises AccessDenied when the caller may not; the context holds
    condition keys, such as ``{"iam:passedtoservice": …}``, which is SageMaker if nothing else is said."""
    authorize_with_policy: Callable[[str | None, str, str], None] = _refuse
    """``authorize_with_policy(policy, action, resource_arn)`` is for a resource of another account: raises AccessDenied
    unless the resource has a policy, and it allows the caller the action."""


class Clients:
    """boto3 clients that act as a role, or as an account, made once per role and service.

    The session never reads the configuration of the user who started the local cloud: the server process runs with a
    bare environment (see `local_cloud.process`), and credentials, region, endpoint and certificate are given here.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str], Any] = {}

    def get(self, service: str, scope: Scope, role_arn: str, source_arn: str) -> Any:
        """A client; the role's trust policy is asked again each time. Raises AccessDenied."""
        self._cloud.require_trust(role_arn, _PRINCIPAL, source_arn)
        return self._client(service, scope.region, role_arn, lambda: self._cloud.assume(role_arn, source_arn))

    def of_account(self, service: str, scope: Scope) -> Any:
        """A client that may do everything; ask `Call.authorize` what the caller may before it is used."""
        return self._client(service, scope.region, scope.account, lambda: self._cloud.administrator(scope.account))

    def _client(self, service: str, region: str, principal: str, credentials: Callable[[], Credentials]) -> Any:
        key = (service, region, principal)
        with self._lock:
            if key not in self._clients:
                session = botocore.session.get_session()
                session._credentials = _refreshed(credentials)
                self._clients[key] = boto3.session.Session(botocore_session=session).client(
                    service,
                    region_name=region,
                    endpoint_url=self._cloud.gateway.endpoint,
                    verify=self._cloud.gateway.certificate,
                    config=Config(
                        retries={"mode": "standard", "max_attempts": 3},
                        max_pool_connections=32,
                        s3={"addressing_style": "path"},
                        read_timeout=700,  # a Lambda step may take 600 s
                    ),
                )
            return self._clients[key]


def _refreshed(ask: Callable[[], Credentials]) -> RefreshableCredentials:
    """Credentials that botocore asks for again in the last quarter of an hour of their life."""

    def metadata() -> dict[str, str]:
        found = ask()
        expiration = time.time() + _ROOT_LIFE if found.expiration is None else found.expiration
        return {
            "access_key": found.access_key_id,
            "secret_key": found.secret_access_key,
            "token": found.session_token,
            "expiry_time": datetime.datetime.fromtimestamp(expiration, datetime.UTC).isoformat(),
        }

    return RefreshableCredentials.create_from_metadata(metadata(), refresh_using=metadata, method="local-cloud")
