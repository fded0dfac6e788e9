"""What is behind the door: the services, the paths of each, and how large a request may be."""

import re
from dataclasses import dataclass

from local_cloud.door.refusals import Reason, Refused

HEALTH = "/_ministack/health"
CFN_RESPONSE = "/_ministack/cfn-response/"
"""Where a custom resource's function puts its answer; what follows is a random token."""

_MIB = 2**20
_ROOT = re.compile(r"/?")
# ministack serves these paths of other services whatever a request is signed for.
_NO_BUCKETS = r"(?!(?:iceberg|graphql|health|login|logout|oauth2|signup|v20180820)(?:[^/]*)(?:/|$))"
_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_BUCKET_HOST = re.compile(r"([a-z0-9-]+\.)?(s3\.)?([a-z0-9-]+\.)?localhost(:[0-9]{1,5})?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Service:
    path: re.Pattern[str] = _ROOT
    largest_body: int = 8 * _MIB
    """Bytes as sent, and again when they are inflated."""


SERVICES = {
    "s3": Service(re.compile(rf"/|/{_NO_BUCKETS}[a-z0-9][a-z0-9.-]{{2,62}}(/.*)?", re.DOTALL), 5 * 1024 * _MIB),
    "lambda": Service(re.compile(r"/20[0-9]{2}-[0-9]{2}-[0-9]{2}/.+", re.DOTALL), 70 * _MIB),  # 50 MB of zip, base64
    "sagemaker": Service(re.compile(r"/?|/endpoints/[^/]+/[a-z-]+"), 32 * _MIB),
    "scheduler": Service(re.compile(r"/(schedules|schedule-groups|tags)(/.*)?")),
    "sqs": Service(re.compile(r"/?|/[0-9]{12}/[\w.-]+/?")),
    **{
        name: Service()
        for name in (
            "application-autoscaling", "budgets", "ce", "cloudformation", "cloudtrail", "dynamodb", "ec2", "ecr",
            "events", "iam", "kms", "logs", "monitoring", "secretsmanager", "servicecatalog", "servicequotas", "sns",
            "ssm", "states", "sts", "tagging",
        )
    },
}  # fmt: skip
"""By the name that requests are signed for."""


def service(name: str, path: str, host: str) -> Service:
    """Raises Refused unless the service is served, at this path and this host."""
    found = SERVICES.get(name)
    if found is None:
        raise Refused(
            Reason.NOT_SERVED,
            f"The local cloud does not serve {name!r}. It serves: {', '.join(sorted(SERVICES))}.",
        )
    if not found.path.fullmatch(path):
        raise Refused(Reason.NOT_SERVED, f"The local cloud serves nothing of {name} at this path.")
    if name != "s3" and not _HOST.fullmatch(host):
        raise Refused(Reason.NOT_SERVED, f"The local cloud serves {name} at localhost alone.")
    return found


def is_own_host(host: str) -> bool:
    """Whether the Host header names this machine; a name that somebody else's DNS leads here is another one."""
    return _HOST.fullmatch(host) is not None or _BUCKET_HOST.fullmatch(host) is not None
