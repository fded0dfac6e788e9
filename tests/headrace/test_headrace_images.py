"""`headrace images`: which digests the images of an environment have, and writing them into environments.toml."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from scripted_aws import FakeAws, Refusal
from scripted_cloud import Result

from headrace.client.environment import Environment
from headrace.client.images import MEDIA_TYPES, find_digest, parse
from headrace.errors import HeadraceError, SetupError

Headrace = Callable[..., Result]
TOML = """\
# One table per environment.
[prod]
account = "000000000000"  # ours
region = "eu-central-1"
training_image   = "pytorch:2.13-cu133"   # GPUs

[prod.pipeline]
epochs = 3

[live]
account = "333333333333"
region = "eu-central-1"
promotes_from = "prod"
"""
MANIFESTS = {tag: f'{{"schemaVersion": 2, "tag": "{tag}"}}' for tag in ("2.13-cu133", "2.13-cpu-amzn2023-sagemaker")}
INFERENCE = "2.6.0-cpu-py312-ubuntu22.04-sagemaker"
MANIFESTS[INFERENCE] = '{"schemaVersion": 2}'
DIGESTS = {tag: f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" for tag, text in MANIFESTS.items()}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    (wanted,) = request["imageIds"]
    tag = wanted.get("imageTag") or {digest: tag for tag, digest in DIGESTS.items()}.get(wanted["imageDigest"])
    if tag not in MANIFESTS:
        failure = {"imageId": wanted, "failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
        return {"images": [], "failures": [failure]}
    found = {"imageId": {"imageDigest": DIGESTS[tag], "imageTag": tag}, "imageManifest": MANIFESTS[tag]}
    return {"images": [found], "failures": []}


@pytest.fixture(autouse=True)
def on_aws(aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "environments.toml").write_text(TOML)
    for name, value in {"ENDPOINT_URL": aws.endpoint, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    aws.answers["BatchGetImage"] = answer


def test_what_is_not_pinned_is_shown_and_asked_for_at_the_registry_of_the_region(
    headrace: Headrace, aws: FakeAws, tmp_path: Path
) -> None:
    result = headrace("--env", "prod", "images", "--json")
    assert result.status == 0, result.err
    assert [(item["setting"], item["pinned"], item["current"]) for item in result.data] == [
        ("training_image", None, DIGESTS["2.13-cu133"]),
        ("processing_image", None, DIGESTS["2.13-cpu-amzn2023-sagemaker"]),
        ("inference_image", None, DIGESTS[INFERENCE]),
    ]
    requests = aws.requests("BatchGetImage")
    assert [(it["registryId"], it["repositoryName"], it["imageIds"]) for it in requests] == [
        ("763104351884", "pytorch", [{"imageTag": "2.13-cu133"}]),
        ("763104351884", "pytorch", [{"imageTag": "2.13-cpu-amzn2023-sagemaker"}]),
        ("763104351884", "pytorch-inference", [{"imageTag": INFERENCE}]),
    ]
    assert (tmp_path / "environments.toml").read_text() == TOML
    shown = headrace("--env", "prod", "images")
    assert shown.next == "headrace --env prod images --pin   # writes the digests into environments.toml"


def test_pinning_changes_those_values_and_nothing_else_in_the_file(
    headrace: Headrace, aws: FakeAws, tmp_path: Path
) -> None:
    path = tmp_path / "environments.toml"
    path.chmod(0o640)
    result = headrace("--env", "prod", "images", "--pin")
    assert result.status == 0, result.err
    assert result.next.startswith("npx cdk diff -c env=prod ")
    assert path.read_text() == TOML.replace(
        'training_image   = "pytorch:2.13-cu133"   # GPUs\n',
        f'training_image   = "pytorch:2.13-cu133@{DIGESTS["2.13-cu133"]}"   # GPUs\n'
        f'processing_image = "pytorch:2.13-cpu-amzn2023-sagemaker@{DIGESTS["2.13-cpu-amzn2023-sagemaker"]}"\n'
        f'inference_image = "pytorch-inference:{INFERENCE}@{DIGESTS[INFERENCE]}"\n',
    )
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(it.name for it in tmp_path.iterdir() if "environments" in it.name) == ["environments.toml"]
    before = path.read_text()
    again = headrace("--env", "prod", "images", "--pin")
    assert "each is pinned to what its tag stands for" in again.err
    assert path.read_text() == before


def test_a_tag_that_has_been_moved_is_shown_and_pinned_again(headrace: Headrace, tmp_path: Path) -> None:
    path, old = tmp_path / "environments.toml", "sha256:" + "0" * 64
    path.write_text(TOML.replace("2.13-cu133", f"2.13-cu133@{old}"))
    rows = headrace("--env", "prod", "images").out.splitlines()
    (row,) = [line for line in rows if line.startswith("training_image")]
    assert row.split()[1:] == ["pytorch:2.13-cu133", old[:19], DIGESTS["2.13-cu133"][:19]]
    assert headrace("--env", "prod", "images", "--pin").status == 0
    training = tomllib.loads(path.read_text())["prod"]["training_image"]
    assert training == f"pytorch:2.13-cu133@{DIGESTS['2.13-cu133']}"


def test_a_custom_image_is_looked_up_where_its_uri_says(headrace: Headrace, aws: FakeAws, tmp_path: Path) -> None:
    own = "123456789012.dkr.ecr.us-west-2.amazonaws.com/team/own"
    path = tmp_path / "environments.toml"
    pinned = DIGESTS["2.13-cu133"]
    path.write_text(TOML.replace("pytorch:2.13-cu133", f"{own}:2.13-cu133") + f'inference_image = "{own}@{pinned}"\n')
    path.write_text(path.read_text().replace("epochs = 3\n", "", 1).replace("[prod.pipeline]\n", ""))
    result = headrace("--env", "prod", "images", "--pin")
    assert result.status == 0, result.err
    assert [
        line for line, (name, _) in zip(aws.authorizations, aws.calls, strict=True)
        if name == "BatchGetImage" and "/us-west-2/ecr/" in line
    ]  # fmt: skip
    assert aws.requests("BatchGetImage")[0]["registryId"] == "123456789012"
    assert tomllib.loads(path.read_text())["prod"]["training_image"] == f"{own}:2.13-cu133@{pinned}"


@pytest.mark.parametrize(
    ("refused", "said", "hint"),
    [
        (Refusal("AccessDeniedException", "not authorized to perform: ecr:BatchGetImage"),
         "error: AWS refused BatchGetImage while looking up pytorch:2.13-cu133 in the registry of account "
         "763104351884: AccessDeniedException",
         "ask the owner of prod for this permission; aws sts get-caller-identity shows who"),
        (Refusal("RepositoryNotFoundException", "no such repository"), "RepositoryNotFoundException",
         "headrace --env prod"),
    ],
)  # fmt: skip
def test_what_ecr_refuses_is_reported_with_a_hint(
    headrace: Headrace, aws: FakeAws, tmp_path: Path, refused: Refusal, said: str, hint: str
) -> None:
    def refuse(request: dict[str, Any]) -> dict[str, Any]:
        raise refused

    aws.answers["BatchGetImage"] = refuse
    result = headrace("--env", "prod", "images", "--pin")
    assert result.status == 1
    assert said in result.err
    assert result.hint.startswith(hint)
    assert (tmp_path / "environments.toml").read_text() == TOML


def test_without_credentials_it_says_how_to_get_some(
    headrace: Headrace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "environments.toml").write_text(TOML.replace('account = "000000000000"  # ours\n', ""))
    result = headrace("--env", "prod", "images", "--pin")
    assert result.status == 1
    assert "no usable AWS credentials for environment prod while looking up pytorch:2.13-cu133" in result.err
    assert result.hint.startswith("aws sso login (or aws configure)")


def test_a_missing_tag_is_reported(headrace: Headrace, tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text(TOML.replace("2.13-cu133", "9.9"))
    result = headrace("--env", "prod", "images", "--pin")
    assert "the registry of account 763104351884 in eu-central-1 has no pytorch:9.9: Requested image not" in result.err
    assert result.hint == "correct training_image under [prod] in environments.toml"


def test_a_manifest_that_has_another_digest_is_not_pinned(headrace: Headrace, aws: FakeAws, tmp_path: Path) -> None:
    def forged(request: dict[str, Any]) -> dict[str, Any]:
        found = answer(request)
        found["images"][0]["imageManifest"] += " "
        return found

    aws.answers["BatchGetImage"] = forged
    result = headrace("--env", "prod", "images", "--pin")
    assert result.status == 1
    assert f"has the digest {DIGESTS['2.13-cu133']}, and its manifest has sha256:" in result.err
    assert (tmp_path / "environments.toml").read_text() == TOML


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["images"], "the local cloud runs no container images", "headrace --env dev images"),
        (["--local", "--env", "prod", "images"], "the local cloud runs no container", "headrace --env prod images"),
        (["--env", "live", "images"], "live serves the versions of prod in the image", "headrace --env prod images"),
    ],
)
def test_where_there_is_nothing_to_pin_it_says_where_there_is(
    headrace: Headrace, aws: FakeAws, words: list[str], said: str, hint: str
) -> None:
    aws.account = "333333333333" if "live" in words else aws.account
    result = headrace(*words)
    assert (result.status, result.hint) == (2, hint)
    assert said in result.err
    aws.account = "000000000000"


def test_the_request_and_the_answer_are_what_botocore_knows_of_ecr() -> None:
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-central-1")
    environment = Environment("prod", session, None, account=None)  # type: ignore[arg-type]
    client = environment.client("ecr", region="eu-central-1")
    image = parse("training_image", "pytorch:2.13-cu133", environment)
    with Stubber(client) as stubber:
        stubber.add_response(
            "batch_get_image",
            answer({"imageIds": [{"imageTag": "2.13-cu133"}]}),
            {"registryId": "763104351884", "repositoryName": "pytorch", "imageIds": [{"imageTag": "2.13-cu133"}],
             "acceptedMediaTypes": MEDIA_TYPES},
        )  # fmt: skip
        assert find_digest(environment, image) == DIGESTS["2.13-cu133"]
        stubber.add_client_error("batch_get_image", "AccessDeniedException", "no", http_status_code=400)
        with pytest.raises(HeadraceError, match="AccessDeniedException"):
            find_digest(environment, image)
        stubber.assert_no_pending_responses()
    nowhere = Environment("x", boto3.Session(region_name="eu-nowhere-7"), None, account=None)  # type: ignore[arg-type]
    with pytest.raises(SetupError, match="no account is known that holds AWS's deep-learning images in eu-nowhere-7"):
        parse("training_image", "pytorch:2", nowhere)
