"""What the SageMaker service needs of ministack: credentials of roles that trust it and of accounts, and the event
bus."""

import contextvars
import json
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, responses
from ministack.services import eventbridge, iam

from local_cloud.ministack.iam import sessions
from local_cloud.ministack.iam.authorization import PRINCIPAL
from local_cloud.ministack.iam.keys import SecretKey
from local_cloud.sagemaker.core.cloud import Credentials, Gateway
from local_cloud.sagemaker.core.errors import AccessDenied
from local_cloud.sagemaker.core.store import Scope


class MinistackCloud:
    """Implements `local_cloud.sagemaker.core.cloud.Cloud`."""

    def __init__(self, gateway: Gateway, root_secret_key: SecretKey) -> None:
        self.gateway = gateway
        self._root_secret_key = root_secret_key

    def assume(self, role_arn: str, source_arn: str) -> Credentials:
        return assume(role_arn, PRINCIPAL, source_arn, session="SageMaker")

    def prolong(self, credentials: Credentials) -> None:
        sessions.prolong(credentials)

    def end(self, credentials: Credentials) -> None:
        sessions.end(credentials)

    def require_trust(self, role_arn: str, service: str, source_arn: str) -> None:
        trusting_role(role_arn, service, source_arn)

    def administrator(self, account: str) -> Credentials:
        return Credentials(account, self._root_secret_key(account), "")

    def publish(self, scope: Scope, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        entry = {
            "Source": "aws.sagemaker",
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
            "Resources": resources,
        }

        def put() -> None:
            with responses.request_scope(*scope):
                eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

        loop = app._MAIN_LOOP
        if loop is None or loop.is_closed():
            return  # the local cloud is ending
        # On the loop, as ministack's own emitters do: its stores are not made for other threads.
        loop.call_soon_threadsafe(put, context=contextvars.Context())


def assume(role_arn: str, service: str, source_arn: str, *, session: str) -> Credentials:
    """New credentials of the role for ``service``. Raises AccessDenied."""
    trusting_role(role_arn, service, source_arn)
    return sessions.begin(role_arn, session)


def trusting_role(role_arn: str, service: str, source_arn: str) -> dict[str, Any]:
    """ministack's record of the role. Raises AccessDenied unless it is there and trusts the service."""
    account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    role: dict[str, Any] | None = iam._roles.get_scoped(account, None, name)
    if role is None or not _trusts(role.get("AssumeRolePolicyDocument", "{}"), service, role_arn, source_arn):
        raise AccessDenied(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            f"'{service}' to assume the role (on behalf of {source_arn})."
        )
    return role


def _trusts(trust_policy: str | dict[str, Any], service: str, role_arn: str, source_arn: str) -> bool:
    document = json.loads(trust_policy) if isinstance(trust_policy, str) else trust_policy
    context = iam_evaluator.EvalContext(
        principal_arn=service, principal_type="Service", principal_account="", action="sts:AssumeRole",
        resource_arn=role_arn, region="", source_ip="", secure_transport=True,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": source_arn.split(":")[4]},
    )  # fmt: skip
    allowed = False
    for statement in document.get("Statement", []):
        actions = statement.get("Action", [])
        actions = [actions] if isinstance(actions, str) else actions
        if (
            "sts:AssumeRole" in actions
            and iam_evaluator._service_principal_matches(statement.get("Principal"), service)
            and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
        ):
            if statement["Effect"] == "Deny":
                return False
            allowed = True
    return allowed
