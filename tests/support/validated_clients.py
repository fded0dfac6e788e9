"""Real boto3 clients whose calls a fake cloud answers.

Every request goes through botocore's own validation and is then held to the patterns, lengths and enumerations of its
service model, which botocore leaves to the server; every answer is held to the model too. So a test cannot pass with a
call that AWS would not understand.
"""

from __future__ import annotations

import re
import threading
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import boto3
from botocore.model import Shape
from botocore.validate import ParamValidator
from fake_aws import REGION, Cloud, Refused

SERVICES = ("s3", "sqs", "sagemaker", "sagemaker-runtime", "sns", "logs", "ec2")


class Clients:
    """Real boto3 clients, made once because loading a service model takes 100 ms; `cloud` answers their calls."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        self._lock = threading.Lock()
        session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION)
        self._clients = {name: self._connect(session.client(name)) for name in SERVICES}

    def __call__(self, service: str) -> Any:
        return self._clients[service]

    def _connect(self, client: Any) -> Any:
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"before-parameter-build.{service}", self._keep_parameters)
        client.meta.events.register_first(f"before-call.{service}", self._answer)
        return client

    def _keep_parameters(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        _hold_to(model.input_shape, params)
        context["parameters"] = dict(params)
        if isinstance(params.get("Body"), BytesIO):  # botocore has wrapped it
            context["parameters"]["Body"] = params["Body"].getvalue()

    def _answer(self, model: Any, context: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        name, parameters = model.name, context["parameters"]
        operation = re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()
        cloud = self.cloud
        try:
            cloud.calls.append((name, parameters))
            if cloud.interrupt:
                cloud.interrupt("before", name, parameters)
            with self._lock:  # not held during an interruption, in which another worker may do all of its work
                answer = getattr(cloud, operation)(**parameters)
            if cloud.interrupt:
                cloud.interrupt("after", name, parameters)
        except Refused as refused:
            error = {"Code": refused.code, "Message": refused.message}
            return SimpleNamespace(status_code=refused.status), {"Error": error, **refused.members}
        if model.output_shape is not None:
            report = ParamValidator().validate(
                {
                    name: b"" if name == "Body" else value
                    for name, value in answer.items()
                    if name != "ResponseMetadata"  # botocore's own
                },
                model.output_shape,
            )
            assert not report.has_errors(), f"the fake's answer to {name}: {report.generate_report()}"
        return SimpleNamespace(status_code=200), answer


def _hold_to(shape: Shape | None, value: Any, path: str = "") -> None:
    """What AWS checks and botocore does not: unknown enumeration values, patterns and greatest lengths."""
    if shape is None or value is None:
        return
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, item in value.items():
            _hold_to(shape.members.get(name), item, f"{path}.{name}")
    elif shape.type_name == "list":
        for item in value:
            _hold_to(shape.member, item, f"{path}[]")
    elif shape.type_name == "string" and isinstance(value, str):
        rules = shape.metadata
        assert "enum" not in rules or value in rules["enum"], f"{path}: {value!r} is none of {rules['enum']}"
        assert len(value) <= rules.get("max", len(value)), f"{path}: {value!r} is longer than {rules['max']}"
        pattern = rules.get("pattern", "").replace(r"\p{L}\p{Z}\p{N}", r"\w\s").replace(r"\p{ASCII}", r"[\x00-\x7f]")
        assert not pattern or re.fullmatch(pattern, value), f"{path}: {value!r} does not match {pattern}"
