"""AWS over real HTTP that gives the answers that a test scripts."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

import botocore.session
from botocore.validate import ParamValidator

REGION, ACCOUNT = "us-east-1", "000000000000"
OUTPUTS = {
    "DataBucketName": "data-bucket",
    "PipelineName": "headrace-local",
    "ModelPackageGroupName": "headrace-local-models",
    "EndpointName": "headrace-local",
    "UploadQueueUrl": "http://queues/uploads",
    "UploadDeadLetterQueueUrl": "http://queues/upload-dead-letters",
    "DecisionQueueUrl": "http://queues/decisions",
    "DecisionDeadLetterQueueUrl": "http://queues/decision-dead-letters",
    "NoticeQueueUrl": "http://queues/notices",
    "NoticeDeadLetterQueueUrl": "http://queues/notice-dead-letters",
}
_models = botocore.session.Session()
_services: dict[str, Any] = {}


class Refusal(Exception):
    """What a scripted operation raises to answer with an AWS error."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


class FakeAws:
    """Answers each operation with what `answers` holds for it: a dict, or a function of the request that gives one.

    Requests are checked by boto3 against AWS's model before they are sent, and answers are checked against it here, so
    that neither side can drift from AWS.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Any] = {  # the dead-letter queue is empty
            "GetQueueAttributes": {"Attributes": {"ApproximateNumberOfMessages": "0"}},
            "ReceiveMessage": {},
        }
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.authorizations: list[str] = []
        self.objects: dict[str, bytes] = {}
        self.predict: Callable[[bytes, str], Any] = lambda body, kind: {}
        self.outputs: dict[str, str] | None = dict(OUTPUTS)
        self.stack_tags: dict[str, str] = {}
        self.stack_is_protected = False
        self.account = ACCOUNT
        aws = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer: two would wait 40 ms for each other

            def log_message(self, *arguments: Any) -> None:
                pass

            def do_GET(self) -> None:
                if "list-type=2" in self.path:
                    return self._answer(200, aws.list_objects(self.path))
                content = aws.objects.get(unquote(self.path.lstrip("/")))
                if content is None:
                    self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>")
                else:
                    self._answer(200, content)

            def do_HEAD(self) -> None:
                self._answer(200 if unquote(self.path.lstrip("/")) in aws.objects else 404, b"")

            def do_PUT(self) -> None:
                aws.objects[unquote(self.path.lstrip("/"))] = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(200, b"")

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                aws.authorizations.append(self.headers.get("Authorization", ""))
                try:
                    if target := self.headers.get("X-Amz-Target"):
                        self._answer(200, aws.json_operation(target, json.loads(body)))
                    elif self.path.startswith("/endpoints/"):
                        answer = aws.predict(body, self.headers["Content-Type"])
                        self._answer(200, json.dumps(answer).encode())
                    else:
                        self._answer(200, aws.query_operation(parse_qs(body.decode())))
                except (Refusal, AssertionError) as failure:  # a refused answer is not to be asked for again
                    refusal = failure if isinstance(failure, Refusal) else Refusal("WrongAnswer", str(failure))
                    content = {"__type": refusal.code, "message": str(refusal), "OriginalMessage": str(refusal)}
                    inner = f"<Error><Code>{refusal.code}</Code><Message>{refusal}</Message></Error>"
                    xml = f"<ErrorResponse>{inner}</ErrorResponse>"
                    as_json = target or self.path.startswith("/endpoints/")
                    self._answer(refusal.status, json.dumps(content).encode() if as_json else xml.encode())

            def _answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.endpoint = f"http{'s' if context else ''}://localhost:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def requests(self, operation: str) -> list[dict[str, Any]]:
        return [request for called, request in self.calls if called == operation]

    def list_objects(self, path: str) -> bytes:
        """ListObjectsV2, without pages."""
        bucket, _, query = path.lstrip("/").partition("?")
        prefix = parse_qs(query).get("prefix", [""])[0]
        start = f"{bucket}/{prefix}"
        keys = [name.removeprefix(f"{bucket}/") for name in sorted(self.objects) if name.startswith(start)]
        contents = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
        return f"<ListBucketResult><KeyCount>{len(keys)}</KeyCount>{contents}</ListBucketResult>".encode()

    def json_operation(self, target: str, request: dict[str, Any]) -> bytes:
        prefix, operation = target.rsplit(".", 1)
        self.calls.append((operation, request))
        answer = self.answers.get(operation)
        if answer is None:
            raise Refusal("ValidationException", f"the test has no answer for {operation}")
        answer = answer(request) if callable(answer) else answer
        service = {"SageMaker": "sagemaker", "AmazonSQS": "sqs", "AmazonEC2ContainerRegistry_V20150921": "ecr"}.get(
            prefix, "logs"
        )
        model = _services.setdefault(service, _models.get_service_model(service))
        shape = model.operation_model(operation).output_shape
        if shape is not None:
            report = ParamValidator().validate(answer, shape)
            assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        return json.dumps(answer, default=lambda moment: moment.timestamp()).encode()

    def query_operation(self, request: dict[str, list[str]]) -> bytes:
        operation = request["Action"][0]
        self.calls.append((operation, {name: value[0] for name, value in request.items()}))
        if operation == "GetCallerIdentity":
            inner = (
                f"<Account>{self.account}</Account><Arn>arn:aws:iam::{self.account}:user/me</Arn><UserId>me</UserId>"
            )
        elif self.outputs is None:
            raise Refusal("ValidationError", f"Stack with id {request['StackName'][0]} does not exist")
        else:
            outputs = "".join(
                f"<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>"
                for key, value in self.outputs.items()
            )
            tags = "".join(
                f"<member><Key>{key}</Key><Value>{value}</Value></member>" for key, value in self.stack_tags.items()
            )
            name = request.get("StackName", ["the-only-one"])[0]
            inner = (
                f"<Stacks><member><StackName>{name}</StackName><CreationTime>2026-01-01T00:00:00Z</CreationTime>"
                f"<EnableTerminationProtection>{str(self.stack_is_protected).lower()}</EnableTerminationProtection>"
                f"<StackStatus>CREATE_COMPLETE</StackStatus><Outputs>{outputs}</Outputs><Tags>{tags}</Tags>"
                "</member></Stacks>"
            )
        return f"<{operation}Response><{operation}Result>{inner}</{operation}Result></{operation}Response>".encode()
