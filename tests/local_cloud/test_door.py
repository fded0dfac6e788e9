"""Nobody gets in: every service and every path of a real local cloud, as another user of the machine tries them."""

import json
import os
import re
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import ministack
import pytest
import root_clients
from attempts import CALLS, OBJECT, RUNTIME, signed, ways
from botocore.config import Config
from pipeline_runs import free_port
from stranger import Attempt, other_user_can_open, send

from local_cloud import process
from local_cloud.door import connections, served
from local_cloud.process import Running

Connect = Callable[[str], Any]
EVERY_CALL = {**CALLS, "sagemaker-runtime": RUNTIME, "s3 object": OBJECT}
REFUSED = {400, 403, 404, 405, 421}


def test_each_service_that_is_served_has_a_call_here() -> None:
    assert set(CALLS) == set(served.SERVICES)


@pytest.mark.parametrize("name", EVERY_CALL)
def test_a_call_without_the_right_signature_is_refused_and_changes_nothing(
    cloud: Running, bucket: str, name: str
) -> None:
    attempts = dict(ways(cloud, EVERY_CALL[name]))
    before = saved(cloud)
    answers = dict(zip(attempts, send(cloud.endpoint, list(attempts.values())), strict=True))
    assert {way: answer for way, answer in answers.items() if answer[0] not in (400, 403)} == {}
    assert saved(cloud) == before


def test_the_same_calls_with_the_right_signature_pass_the_door(cloud: Running) -> None:
    """So the refusals above are not of the calls themselves."""
    reading = {"sts": ("sts", "get_caller_identity", {}), "s3": ("s3", "list_buckets", {})}
    calls = [signed(cloud, call, cloud.account, cloud.secret_key(cloud.account)) for call in reading.values()]
    assert [status for status, _ in send(cloud.endpoint, calls)] == [200, 200]


def presigned(cloud: Running, bucket: str, secret_key: str) -> str:
    session = boto3.Session(cloud.account, secret_key, region_name=cloud.region)
    s3 = session.client("s3", endpoint_url=cloud.endpoint, config=Config(signature_version="s3v4"))
    url = urlsplit(s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "refused"}))
    return f"PUT {url.path}?{url.query}"


@pytest.mark.parametrize(
    ("why", "status"), [("wrong secret", 403), ("no signature", 403), ("no such bucket", 404), ("not served", 404)]
)
def test_a_client_that_sends_all_of_a_large_body_reads_why_it_is_refused(
    cloud: Running, bucket: str, why: str, status: int
) -> None:
    """If the server closed while the client still sends, the client would see a reset connection and no reason."""
    first_line = {
        "wrong secret": presigned(cloud, bucket, "wrong"),
        "no signature": f"PUT /{bucket}/refused",
        "no such bucket": presigned(cloud, "no-such-bucket", cloud.secret_key(cloud.account)),
        "not served": "PUT /_not-served",
    }[why]
    size = 32 * 2**20  # more than the sockets of both sides hold
    head = f"{first_line} HTTP/1.1\r\nHost: localhost:{urlsplit(cloud.endpoint).port}\r\nContent-Length: {size}\r\n\r\n"
    context = ssl.create_default_context(cafile=str(cloud.certificate))
    address = ("localhost", urlsplit(cloud.endpoint).port)
    with socket.create_connection(address) as plain, context.wrap_socket(plain, server_hostname="localhost") as client:
        client.sendall(head.encode())
        client.sendall(bytes(size))
        assert client.recv(65536).startswith(f"HTTP/1.1 {status} ".encode())


def literal_paths() -> list[str]:
    """Every path that begins with an underscore in ministack's source, and those of emulators that it resembles."""
    root = Path(ministack.__file__).parent
    found = {"/_ministack/", "/_localstack/", "/_aws/", "/_alb/", "/moto-api/reset", "/moto-api/data.json"}
    for file in root.rglob("*.py"):
        found |= set(re.findall(r"/_[a-z][\w./-]*", file.read_text()))
    return sorted(found)


def test_no_private_path_of_the_emulator_is_served(cloud: Running, connect: Connect) -> None:
    paths = literal_paths()
    assert {"/_ministack/reset", "/_ministack/config", "/_ministack/sqs/messages"} <= set(paths)
    connect("sqs").create_queue(QueueName="stays")
    tried = [Attempt(method, path) for path in paths for method in ("GET", "POST", "PUT", "DELETE")]
    answers = zip(tried, send(cloud.endpoint, tried), strict=True)
    open_to_all = {(item.method, item.path) for item, (status, _) in answers if status not in (403, 404)}
    assert open_to_all == {("GET", served.HEALTH)}
    assert any(url.endswith("/stays") for url in connect("sqs").list_queues()["QueueUrls"])


def test_the_health_check_says_only_that_the_cloud_runs(cloud: Running) -> None:
    ((status, text),) = send(cloud.endpoint, [Attempt("GET", served.HEALTH)])
    assert (status, json.loads(text)) == (200, {"status": "running"})


def test_an_answer_of_a_custom_resource_needs_the_token_that_is_waited_for(cloud: Running) -> None:
    tried = [Attempt("PUT", served.CFN_RESPONSE + token, {}, b"{}") for token in ("", "a", "../reset", "%2e%2e/reset")]
    assert {status for status, _ in send(cloud.endpoint, tried)} == {404}


FOREIGN = [
    ({"Host": "evil.example"}, 421),
    ({"Host": "127.0.0.1.evil.example"}, 421),
    ({"Host": "localhost.evil.example:4566"}, 421),
    ({"Host": ""}, 421),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "http://localhost"}, 403),
    ({"Origin": "null"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
]


@pytest.mark.parametrize(("headers", "status"), FOREIGN, ids=str)
def test_a_foreign_name_and_a_page_of_another_origin_are_refused_even_with_a_signature(
    cloud: Running, headers: dict[str, str], status: int
) -> None:
    good = signed(cloud, ("s3", "list_buckets", {}), cloud.account, cloud.secret_key(cloud.account))
    tried = [Attempt(good.method, good.path, {**good.headers, **headers}), Attempt("GET", served.HEALTH, headers)]
    assert [answer[0] for answer in send(cloud.endpoint, tried)] == [status, status]


def test_a_presigned_url_lasts_as_long_as_it_says(cloud: Running, connect: Connect, bucket: str) -> None:
    s3 = connect("s3")
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"content")
    target = {"Bucket": bucket, "Key": "a b/ü"}
    for version in ("s3v4", "s3"):
        client = root_clients.s3(cloud, version)
        url = client.generate_presigned_url("get_object", Params=target, ExpiresIn=60)
        assert root_clients.get(cloud, url) == (200, b"content"), version
        assert root_clients.get(cloud, url + "0")[0] == 403, version
        with root_clients.at(minutes=-2):
            old = client.generate_presigned_url("get_object", Params=target, ExpiresIn=60)
        assert root_clients.get(cloud, old)[0] == 403, version
        other = url.replace("a%20b", "a%20c")
        assert root_clients.get(cloud, other)[0] == 403, version


def test_two_accounts_and_two_starts_have_no_secret_in_common(mortal: Running) -> None:
    first = [mortal.secret_key(account) for account in ("000000000000", "111111111111")]
    assert len(set(first)) == 2
    sessions = set()
    for _ in range(2):
        sts = boto3.client(
            "sts", endpoint_url=mortal.endpoint, verify=str(mortal.certificate), region_name="us-east-1",
            aws_access_key_id=mortal.account, aws_secret_access_key=first[0],
        )  # fmt: skip
        assert sts.get_caller_identity()["Arn"].endswith(":root")
        sessions.add(sts.get_session_token()["Credentials"]["SecretAccessKey"])
        process.stop(mortal.state)
        process.start(mortal.state)
    assert len(sessions) == 2
    assert [mortal.secret_key(account) for account in ("000000000000", "111111111111")] == first


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_reads_nothing_of_the_state(cloud: Running, connect: Connect, bucket: str) -> None:
    connect("secretsmanager").create_secret(Name="mine", SecretString="hunter2")
    connect("s3").put_object(Bucket=bucket, Key="private", Body=b"private")
    paths = [cloud.state, *cloud.state.rglob("*")]
    assert {"root-secret", "localhost.key", "server.log"} <= {path.name for path in paths}
    assert other_user_can_open(paths) == []
    written_by_the_server = [*(cloud.state / "s3").rglob("*"), *(cloud.state / "aws").rglob("*")]
    assert [path for path in written_by_the_server if path.stat().st_mode & 0o077] == []


@pytest.mark.process
def test_a_port_that_another_one_takes_at_the_same_moment_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two local clouds that start at once both find the preferred port free."""
    state, chosen = tmp_path / "state", []

    def choose(state: Path, wanted: int | None) -> int:
        chosen.append(taken.getsockname()[1] if not chosen else free_port())
        (state / "port").write_text(str(chosen[-1]))
        return chosen[-1]

    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(process, "choose_port", choose)
        running = process.start(state)
    process.stop(state)
    assert running.endpoint == f"https://localhost:{chosen[1]}"


@pytest.mark.process
def test_an_older_state_directory_is_made_private(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "s3" / "bucket").mkdir(parents=True)
    (state / "s3" / "bucket" / "object").write_text("data")
    (state / "format.json").write_text('{"format": 1}')
    for path in (state, *state.rglob("*")):
        path.chmod(0o777)
    process.start(state)
    process.stop(state)
    left = [path for path in (state / "s3", state / "s3" / "bucket" / "object") if path.stat().st_mode & 0o077]
    assert (state.stat().st_mode & 0o777, left) == (0o700, [])


def saved(cloud: Running) -> dict[str, list[str]]:
    """What there is of each kind, by name."""
    root = root_clients.root(cloud)
    return {
        "buckets": sorted(item["Name"] for item in root("s3").list_buckets()["Buckets"]),
        "objects": sorted(
            item["Key"] for item in root("s3").list_objects_v2(Bucket="engine-tests").get("Contents", [])
        ),
        "queues": sorted(root("sqs").list_queues().get("QueueUrls", [])),
        "topics": sorted(item["TopicArn"] for item in root("sns").list_topics()["Topics"]),
        "functions": sorted(item["FunctionName"] for item in root("lambda").list_functions()["Functions"]),
        "rules": sorted(item["Name"] for item in root("events").list_rules()["Rules"]),
        "roles": sorted(item["RoleName"] for item in root("iam").list_roles()["Roles"]),
        "stacks": sorted(item["StackName"] for item in root("cloudformation").list_stacks()["StackSummaries"]),
        "keys": sorted(item["KeyId"] for item in root("kms").list_keys()["Keys"]),
        "groups": sorted(item["logGroupName"] for item in root("logs").describe_log_groups()["logGroups"]),
        "registries": sorted(
            item["ModelPackageGroupName"]
            for item in root("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"]
        ),
        "schedules": sorted(item["Name"] for item in root("scheduler").list_schedules()["Schedules"]),
        "secrets": sorted(item["Name"] for item in root("secretsmanager").list_secrets()["SecretList"]),
        "parameters": sorted(item["Name"] for item in root("ssm").describe_parameters()["Parameters"]),
        "networks": sorted(item["VpcId"] for item in root("ec2").describe_vpcs()["Vpcs"]),
        "repositories": sorted(item["repositoryName"] for item in root("ecr").describe_repositories()["repositories"]),
        "metrics": sorted(item["MetricName"] for item in root("cloudwatch").list_metrics(Namespace="I")["Metrics"]),
    }


def test_200_connections_may_wait_before_the_first_is_accepted() -> None:
    """With a shorter queue the kernel drops their SYN, which is sent again after 1.05 s."""
    listener = connections.Listener("127.0.0.1", 0)
    listener.listen(connections.BACKLOG)
    with listener, ExitStack() as opened:
        clients = [opened.enter_context(socket.socket()) for _ in range(200)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        _, writable, _ = select.select([], clients, [], 0.5)
        assert len(writable) == 200


def test_an_answer_is_one_record_and_does_not_wait_for_the_last_one(cloud: Running) -> None:
    """Head and body in two would be two packets; with Nagle's algorithm, 40 ms apart."""
    context = ssl.create_default_context(cafile=str(cloud.certificate))
    address = ("localhost", int(cloud.endpoint.rpartition(":")[2]))
    with socket.create_connection(address) as plain, context.wrap_socket(plain, server_hostname="localhost") as client:
        for _ in range(3):
            client.sendall(f"GET {served.HEALTH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert client.recv(65536).endswith(b'{"status": "running"}')


def test_connections_send_what_they_have_at_once() -> None:
    """asyncio sets the option only on sockets whose protocol is TCP. A timed test could not detect it reliably."""
    with connections.Listener("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP
