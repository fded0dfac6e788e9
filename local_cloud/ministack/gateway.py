"""Requests to SageMaker: from ministack's gateway to the service and back, for its JSON protocol and InvokeEndpoint."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from ministack import app
from ministack.core import responses, router

from local_cloud.ministack.iam.authorization import INVOCATION, NAME, authorizer, resource_authorizer
from local_cloud.sagemaker import api, parameters
from local_cloud.sagemaker.api import SageMaker
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.store import Scope
from local_cloud.sagemaker.hosting.deployments import ModelError

MAX_BODY = 6_291_456
"""Bytes of a request to InvokeEndpoint: https://docs.aws.amazon.com/general/latest/gr/sagemaker.html"""

Answer = tuple[int, dict[str, str], bytes]


def install(sagemaker: SageMaker) -> None:
    app.SERVICE_REGISTRY[NAME] = {"module": NAME}
    app.SERVICE_HANDLERS[NAME] = _handler(sagemaker)
    router.SERVICE_PATTERNS[NAME] = {
        "target_prefixes": ["SageMaker."],
        "credential_scope": NAME,
        "host_patterns": [r"sagemaker\."],
    }


def _handler(sagemaker: SageMaker) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
        return await asyncio.to_thread(_answer, sagemaker, path, headers, body, query)

    return handle


def _answer(sagemaker: SageMaker, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Answer:
    scope = Scope(responses.get_account_id(), responses.get_region())
    invocation = INVOCATION.fullmatch(path)
    if invocation is not None:
        return _invoke(sagemaker, scope, unquote(invocation.group(1)), headers, body)
    operation = headers.get("x-amz-target", "").partition(".")[2]
    access_key = router.extract_access_key_id(headers, query)
    call = Call(scope, authorizer(access_key, scope), resource_authorizer(access_key, scope))
    status, document = api.answer(sagemaker, operation, call, body)
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(document).encode()


def _invoke(sagemaker: SageMaker, scope: Scope, endpoint: str, headers: dict[str, str], body: bytes) -> Answer:
    if len(body) > MAX_BODY:  # AWS answers with plain text, and no error code: aws/sagemaker-python-sdk#171
        return 413, {"content-type": "text/plain"}, f"HTTP content length exceeded {MAX_BODY} bytes.".encode()
    content_type = headers.get("content-type", "application/octet-stream")
    # InvokeEndpoint carries the caller's Accept in a separate header.
    accept = headers.get("x-amzn-sagemaker-accept") or headers.get("accept") or "application/json"
    try:
        parameters.refuse_headers(headers)
        with sagemaker.faults.during("InvokeEndpoint"):
            answer_headers, content = sagemaker.endpoints.invoke(scope, endpoint, body, content_type, accept)
    except ServiceError as error:
        members = error.members if isinstance(error, ModelError) else {}
        document = {"Message": str(error), "message": str(error), **members}
        answer_headers = {"Content-Type": "application/json", "x-amzn-errortype": error.code}
        return error.status, answer_headers, json.dumps(document).encode()
    # In lower case: ministack replaces the value of "Content-Type" with that of SageMaker's own protocol.
    return 200, {name.lower(): value for name, value in answer_headers.items()}, content
