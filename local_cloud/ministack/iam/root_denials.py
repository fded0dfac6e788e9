"""A bucket policy that denies binds the root of its account as well, as on AWS; ministack lets root do everything.

Root may always read, put and delete the policy itself: otherwise one that denies everything could not be undone (S3's
guide, "Bucket policies").
"""

from collections.abc import Callable
from typing import Any

from ministack.core import iam_evaluator, responses
from ministack.services import s3

from local_cloud.ministack.iam.keys import is_root

_ALWAYS = {"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"}


def install() -> None:
    iam_evaluator.enforce = _denying_root(iam_evaluator.enforce)


def _denying_root(original: Callable[..., Any]) -> Callable[..., Any]:
    def enforce(
        access_key_id: str, iam_action: str, service: str, region: str, resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:  # fmt: skip
        refused = original(access_key_id, iam_action, service, region, resource_arn, service_context)
        if refused is not None or service != "s3" or not is_root(access_key_id or "") or iam_action in _ALWAYS:
            return refused
        policy, _ = s3.bucket_policy_for_arn(resource_arn) or ("", "")
        if not policy:
            return None
        account = responses.get_account_id()
        context = iam_evaluator.EvalContext(
            principal_arn=f"arn:aws:iam::{account}:root", principal_type="Account", principal_account=account,
            action=iam_action, resource_arn=resource_arn, region=region,
            service_context={key.lower(): value for key, value in (service_context or {}).items()},
        )  # fmt: skip
        found = iam_evaluator.evaluate_resource_policy(policy, context)
        if found.decision != "Deny":
            return None
        found.principal_arn, found.resource_policy_arn = context.principal_arn, resource_arn
        return found

    return enforce
