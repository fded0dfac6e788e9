"""What AWS may do and the local cloud does not do by default, to test that code copes with it.

    HEADRACE_AWKWARD=1 headrace up

Events come twice, the second time 3 s late; their times are texts in ISO 8601, and ARNs of model packages are in small
letters. `Std:Join` writes numbers as Java does: 1.0E-4, where JSON has 0.0001. None of it is documented, and each was
seen or may be expected: docs/awkward.md.
"""

import math
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from local_cloud.sagemaker.core.cloud import Cloud, Credentials, Gateway
from local_cloud.sagemaker.core.store import Scope
from pipeline_language import references

_LATE_SECONDS = 3.0


class AwkwardCloud:
    """Implements `cloud.Cloud` around another one."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self.gateway: Gateway = cloud.gateway
        references.write_numbers(java_text)

    def assume(self, role_arn: str, source_arn: str) -> Credentials:
        return self._cloud.assume(role_arn, source_arn)

    def prolong(self, credentials: Credentials) -> None:
        self._cloud.prolong(credentials)

    def end(self, credentials: Credentials) -> None:
        self._cloud.end(credentials)

    def require_trust(self, role_arn: str, service: str, source_arn: str) -> None:
        self._cloud.require_trust(role_arn, service, source_arn)

    def administrator(self, account: str) -> Credentials:
        return self._cloud.administrator(account)

    def publish(self, scope: Scope, detail_type: str, detail: dict[str, Any], resources: list[str]) -> None:
        detail, resources = _reworded(detail), [_small(item) for item in resources]
        self._cloud.publish(scope, detail_type, detail, resources)
        again = threading.Timer(_LATE_SECONDS, self._cloud.publish, (scope, detail_type, detail, resources))
        again.daemon = True
        again.start()


def java_text(value: float) -> str:
    """As `Double.toString` writes it: with an exponent below 0.001 and from 10,000,000 on."""
    if value == 0 or not math.isfinite(value) or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    first, *rest = map(str, digits)
    assert isinstance(exponent, int)
    return f"{'-' * sign}{first}.{''.join(rest) or '0'}E{exponent + len(digits) - 1}"


def _reworded(detail: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in detail.items():
        if name.endswith("Time") and isinstance(value, int | float):  # milliseconds
            found[name] = datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        elif name == "ModelPackageArn":
            found[name] = _small(value)
        else:
            found[name] = value
    return found


def _small(arn: str) -> str:
    return arn.lower() if ":model-package/" in arn else arn
