"""What the SageMaker service needs of ministack: the credentials of a role that trusts it, and the event bus."""

import contextvars
import hashlib
import json
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, responses
from ministack.services import eventbridge, iam, sts

from local_cloud.adapter.authorization import NAME, PRINCIPAL
from local_cloud.sagemaker.cloud import Credentials, Gateway
from local_cloud.sagemaker.errors import AccessDenied
from local_cloud.sagemaker.store import Scope


class MinistackCloud:
    """Implements `local_cloud.sagemaker.cloud.Cloud`."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    def assume(self, role_arn: str, source_arn: str) -> Credentials:
        account, name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
        role = iam._roles.get_scoped(account, None, name)
        if role is None or not _trusts_sagemaker(role.get("AssumeRolePolicyDocument", "{}"), role_arn, source_arn):
            raise AccessDenied(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                f"'{PRINCIPAL}' to assume the role (on behalf of {source_arn})."
            )
        digest = hashlib.sha256(f"{NAME}:{role_arn}".encode()).hexdigest()
        credentials = Credentials(f"ASIA{digest[:16].upper()}", digest, f"token-{digest}")
        sts.register_session(credentials.access_key_id, {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/SageMaker",
            "UserId": f"{role.get('RoleId', name)}:SageMaker",
            "SecretAccessKey": credentials.secret_access_key,
            "SessionToken": credentials.session_token,
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        })  # fmt: skip
        return credentials

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


def _trusts_sagemaker(trust_policy: str | dict[str, Any], role_arn: str, source_arn: str) -> bool:
    document = json.loads(trust_policy) if isinstance(trust_policy, str) else trust_policy
    context = iam_evaluator.EvalContext(
        principal_arn=PRINCIPAL, principal_type="Service", principal_account="", action="sts:AssumeRole",
        resource_arn=role_arn, region="", source_ip="", secure_transport=True,
        service_context={"aws:sourcearn": source_arn, "aws:sourceaccount": source_arn.split(":")[4]},
    )  # fmt: skip
    allowed = False
    for statement in document.get("Statement", []):
        actions = statement.get("Action", [])
        actions = [actions] if isinstance(actions, str) else actions
        if (
            "sts:AssumeRole" in actions
            and iam_evaluator._service_principal_matches(statement.get("Principal"), PRINCIPAL)
            and iam_evaluator._conditions_met(statement.get("Condition", {}), context)
        ):
            if statement["Effect"] == "Deny":
                return False
            allowed = True
    return allowed
