"""The local environment reaches nothing of the user's AWS configuration; the others use it, with care."""

from __future__ import annotations

import re
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted_aws import ACCOUNT, REGION, FakeAws
from scripted_cloud import FakeCloud, FakeRunning, Result
from scripted_sagemaker import FakeSageMaker

from headrace.client.environment import Environment
from local_cloud.certificate import certificate

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every way known to send boto3 elsewhere, at once. Returns a file that exists once a trap has been stepped in."""
    trap = tmp_path / "trapped"
    config = tmp_path / "config"
    config.write_text(
        f"[default]\nregion = ap-south-1\nendpoint_url = {NOWHERE}\nca_bundle = /nonexistent\n"
        f"credential_process = touch {trap}\ns3 =\n  addressing_style = virtual\n  use_accelerate_endpoint = true\n"
    )
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKIAFROMFILE\naws_secret_access_key = real\n")
    (tmp_path / ".aws").mkdir()  # HOME is tmp_path
    shutil.copy(config, tmp_path / ".aws" / "config")
    shutil.copy(credentials, tmp_path / ".aws" / "credentials")
    for name, value in {
        "AWS_PROFILE": "nonexistent",
        "AWS_DEFAULT_PROFILE": "nonexistent",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_ACCESS_KEY_ID": "AKIAREALACCOUNT",
        "AWS_SECRET_ACCESS_KEY": "real",
        "AWS_SESSION_TOKEN": "real",
        "AWS_REGION": "ap-south-1",
        "AWS_DEFAULT_REGION": "ap-south-1",
        "AWS_ENDPOINT_URL": NOWHERE,
        "AWS_ENDPOINT_URL_S3": NOWHERE,
        "AWS_ENDPOINT_URL_SAGEMAKER": NOWHERE,
        "AWS_ENDPOINT_URL_CLOUDFORMATION": NOWHERE,
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_CA_BUNDLE": "/nonexistent",
        "REQUESTS_CA_BUNDLE": "/nonexistent",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_DATA_PATH": "/nonexistent",
        "HTTP_PROXY": NOWHERE,
        "HTTPS_PROXY": NOWHERE,
        "http_proxy": NOWHERE,
        "https_proxy": NOWHERE,
    }.items():
        monkeypatch.setenv(name, value)
    return trap


@pytest.mark.usefixtures("hostile")
def test_every_local_client_has_the_local_endpoint_region_and_credentials(environment: Environment) -> None:
    for service in ("s3", "sagemaker", "sagemaker-runtime", "cloudformation", "sqs", "logs", "sts"):
        client = environment.client(service)
        assert environment.running is not None
        assert client.meta.endpoint_url == environment.running.endpoint
        assert client.meta.region_name == REGION
        credentials = client._request_signer._credentials.get_frozen_credentials()
        secret = environment.running.secret_key(ACCOUNT)
        assert (credentials.access_key, credentials.secret_key, credentials.token) == (ACCOUNT, secret, None)


def test_local_commands_reach_the_local_cloud_in_a_hostile_environment(
    hostile: Path, headrace: Callable[..., Result], aws: FakeAws, sagemaker: FakeSageMaker
) -> None:
    sagemaker.add_run("run1", "Succeeded")
    result = headrace("runs", "--json")
    assert result.status == 0, result.err
    assert result.data[0]["id"] == "run1"
    assert aws.authorizations
    assert all(f"Credential={ACCOUNT}/" in line and f"/{REGION}/" in line for line in aws.authorizations)
    assert not hostile.exists()


@pytest.mark.usefixtures("hostile")
def test_the_local_certificate_is_the_one_that_is_trusted(headrace: Callable[..., Result], tmp_path: Path) -> None:
    mine, key = certificate(tmp_path / "a")
    other, _ = certificate(tmp_path / "b")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(mine, key)
    server = FakeAws(context)
    server.answers.update(FakeSageMaker().answers())
    try:
        trusting = headrace("status", on=FakeCloud(FakeRunning(server.endpoint, mine)))
        doubting = headrace("models", on=FakeCloud(FakeRunning(server.endpoint, other)))
    finally:
        server.close()
    assert trusting.status == 0, trusting.err
    assert "headrace-local CREATE_COMPLETE" in trusting.out
    assert doubting.status == 1
    assert "cannot reach the local cloud" in doubting.err


@pytest.fixture
def users_own(monkeypatch: pytest.MonkeyPatch, aws: FakeAws) -> None:
    """The user's configuration, leading to the scripted AWS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUSER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


@pytest.mark.usefixtures("users_own", "sagemaker")
def test_another_environment_uses_the_users_credentials_and_its_region(
    headrace: Callable[..., Result], aws: FakeAws, tmp_path: Path
) -> None:
    (tmp_path / "environments.toml").write_text(f'[prod]\nregion = "eu-west-1"\naccount = "{aws.account}"\n')
    result = headrace("--env", "prod", "status")
    assert result.status == 0, result.err
    assert all("Credential=AKIAUSER/" in line and "/eu-west-1/" in line for line in aws.authorizations)
    assert ("DescribeStacks", "headrace-prod") in [(name, call.get("StackName")) for name, call in aws.calls]
    assert "AWS_ENDPOINT_URL is set" in result.err
    assert "headrace --env prod" in result.err  # what to do next, in the same environment


@pytest.mark.usefixtures("users_own", "sagemaker")
def test_credentials_of_another_account_are_refused(
    headrace: Callable[..., Result], aws: FakeAws, tmp_path: Path
) -> None:
    (tmp_path / "environments.toml").write_text('[prod]\nregion = "eu-west-1"\naccount = "222222222222"\n')
    result = headrace("--env", "prod", "runs")
    assert result.status == 1
    assert "prod is account 222222222222, but the credentials in use are of 000000000000" in result.err
    assert [name for name, _ in aws.calls] == ["GetCallerIdentity"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "no usable AWS credentials"),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, "no region is known for environment prod"),
        ({"AWS_PROFILE": "nobody"}, "nobody"),
    ],
)
def test_a_missing_configuration_is_an_error_with_a_command_to_try(
    headrace: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variables: dict[str, str],
    expected: str,
) -> None:  # fmt: skip
    (tmp_path / "environments.toml").write_text("[prod]\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = headrace("--env", "prod", "runs")
    assert result.status == 1
    assert result.err.startswith("error: ")
    assert expected in result.err
    assert "\n\nhint: " in result.err
    assert "Traceback" not in result.err


@pytest.mark.usefixtures("users_own", "sagemaker")
def test_where_nothing_says_which_account_is_meant_no_account_is_touched(
    headrace: Callable[..., Result], aws: FakeAws
) -> None:
    result = headrace("--env", "prod", "projects", "list")
    assert result.status == 1
    assert "prod is described in environments.toml, which no folder from" in result.err
    assert "hint: cd into the project" in result.err
    assert aws.calls == []


def test_an_account_number_of_other_than_12_digits_is_explained(
    headrace: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "environments.toml").write_text('[prod]\naccount = "11111111111"\n')
    result = headrace("--env", "prod", "runs")
    assert result.status == 1
    assert "account of [prod] is '11111111111'" in result.err
    assert "12 digits" in result.err


def test_projects_is_not_an_environment(headrace: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text('[prod]\naccount = "222222222222"\n[projects]\n')
    result = headrace("--env", "projects", "status")
    assert result.status == 1
    assert re.search(r"no environment 'projects' in .*; there are prod\n", result.err)


def test_an_account_number_without_quotes_is_explained(headrace: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "environments.toml").write_text("[prod]\naccount = 222222222222\n")
    result = headrace("--env", "prod", "runs")
    assert result.status == 1
    assert 'account = "222222222222"' in result.err
