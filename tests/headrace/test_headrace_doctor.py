"""`headrace doctor` against accounts of a real local cloud, each with one fault: it is named, with its cure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import WaiterError
from scripted_cloud import FakeCloud, Result
from tried import tries

from local_cloud.process import Running

Headrace = Callable[..., Result]
REGION = "us-east-1"
NUMBERS = itertools.count(1)
SPOT = "ml.g4dn.xlarge for spot training job usage"
ENDPOINT = "ml.m5.large for endpoint usage"


@dataclass
class Account:
    """A separate account of the local cloud, which stands for the environment `dev` on AWS; healthy at first."""

    running: Running
    number: str
    folder: Path
    patch: pytest.MonkeyPatch

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.running.endpoint, verify=str(self.running.certificate), region_name=REGION,
            aws_access_key_id=self.number, aws_secret_access_key=self.running.secret_key(self.number),
        )  # fmt: skip

    def set(self, *, capacity: str = "spot", keep_alive_seconds: int = 0, **settings: Any) -> None:
        table = {"account": self.number, "region": REGION} | settings
        lines = [f"{name} = {json.dumps(value)}" for name, value in table.items()]
        lines += ["[dev.pipeline]", f'capacity = "{capacity}"', f"keep_alive_seconds = {keep_alive_seconds}"]
        text = "\n".join(["[dev]", *lines])
        (self.folder / "environments.toml").write_text(f"{text}\n")

    def describe(self, text: str) -> None:
        """What the account is like, for the local cloud."""
        file = self.running.state / "sagemaker" / "account.toml"
        draft = file.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(file)

    def quota(self, name: str, value: float, service: str = "sagemaker") -> None:
        self.describe(f"[quotas.{service}]\n{json.dumps(name)} = {value}\n")

    def deploy(
        self, stack: str, *, outputs: dict[str, str] | None = None, resource: dict[str, Any] | None = None
    ) -> None:
        cloudformation = self.client("cloudformation")
        template = {
            "Resources": {"It": resource or {"Type": "AWS::SNS::Topic"}},
            "Outputs": {name: {"Value": value} for name, value in (outputs or {}).items()},
        }
        cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps(template))
        cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})

    def bootstrap(self, version: str) -> None:
        self.deploy("CDKToolkit", outputs={"BootstrapVersion": version})


@pytest.fixture
def account(real: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    account = Account(real, f"{next(NUMBERS):012d}", tmp_path, monkeypatch)
    npx = tmp_path / ".venv/bin/npx"
    npx.parent.mkdir(parents=True)
    npx.write_text(f'#!/bin/sh\necho "$@" > {tmp_path / "npx.said"}\n')
    npx.chmod(0o755)
    account.set()
    variables = {
        "ENDPOINT_URL": real.endpoint,
        "CA_BUNDLE": str(real.certificate),
        "ACCESS_KEY_ID": account.number,
        "SECRET_ACCESS_KEY": real.secret_key(account.number),
    }
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    account.describe("")
    yield account
    account.describe("")


def budget(account: Account) -> None:
    account.set(monthly_budget=100.0)
    account.client("budgets").create_budget(
        AccountId=account.number,
        Budget={
            "BudgetName": "dev-budget", "BudgetType": "COST", "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": "100", "Unit": "USD"},
            "CostFilters": {"TagKeyValue": ["user:headrace:environment$dev"]},
        },
    )  # fmt: skip


def broken_stack(account: Account) -> None:
    """A stack whose creation was rolled back: CloudFormation does not update such a stack."""
    group(account)
    cloudformation = account.client("cloudformation")
    resource = {
        "Type": "AWS::SageMaker::ModelPackageGroup", "Properties": {"ModelPackageGroupName": "headrace-dev"},
    }  # fmt: skip
    cloudformation.create_stack(StackName="headrace-dev", TemplateBody=json.dumps({"Resources": {"It": resource}}))
    with pytest.raises(WaiterError, match="ROLLBACK_COMPLETE"):
        cloudformation.get_waiter("stack_create_complete").wait(StackName="headrace-dev", WaiterConfig={"Delay": 1})


def group(account: Account) -> None:
    account.client("sagemaker").create_model_package_group(ModelPackageGroupName="headrace-dev")


def vpcs(account: Account) -> None:
    account.set(network_access="vpc")
    account.quota("VPCs per Region", 1, "vpc")
    account.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")


def zone(account: Account) -> None:
    account.set(network_access="vpc")
    account.describe('[zones]\nus-east-1a = "use1-az3"\nus-east-1c = "use1-az1"\n')


def lacking_type(account: Account) -> None:
    account.set(network_access="vpc")
    account.describe('[missing_types]\nus-east-1a = ["g4dn.xlarge"]\n')


def unconfirmed(account: Account) -> None:
    sns = account.client("sns")
    topic = sns.create_topic(Name="notices")["TopicArn"]
    for address in ("ml@example.com", "ops@example.com"):
        sns.subscribe(TopicArn=topic, Protocol="email", Endpoint=address)
    account.deploy("headrace-dev", outputs={"NoticeTopicArn": topic})
    account.describe('unconfirmed_emails = ["ml@example.com"]\n')


# How each fault is planted, the check that finds it, words of what is found and of the cure.
FAULTS: dict[str, tuple[Callable[[Account], None], str, str, str]] = {
    "unknown credentials": (
        lambda it: it.patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        "credentials", "InvalidClientTokenId", "aws sts get-caller-identity",
    ),
    "a wrong secret": (
        lambda it: it.patch.setenv("AWS_SECRET_ACCESS_KEY", "wrong"),
        "credentials", "SignatureDoesNotMatch", "aws sts get-caller-identity",
    ),
    "no profile": (
        lambda it: it.set(profile="nobody"), "credentials", "nobody", "aws configure list-profiles",
    ),
    "another account": (
        lambda it: it.set(account="999999999999"),
        "account", "environment dev is account 999999999999, but the credentials", "AWS_PROFILE=NAME",
    ),
    "a region that is not there": (
        lambda it: it.set(region="us-east-9"), "region", "AWS has no region 'us-east-9'", "correct region under [dev]",
    ),
    "a region that is not enabled": (
        lambda it: (it.set(region="ap-south-2"), it.describe('disabled_regions = ["ap-south-2"]'))[0],
        "region", "the account has not enabled ap-south-2", "aws account enable-region --region-name ap-south-2",
    ),
    "no CDK": (
        lambda it: (it.patch.setenv("PATH", str(it.folder)), (it.folder / ".venv/bin/npx").unlink())[0],
        "cdk", "npx is not on PATH", "make install",
    ),
    "not bootstrapped": (
        lambda it: it.client("cloudformation").delete_stack(StackName="CDKToolkit"),
        "bootstrap", "there is no stack CDKToolkit in us-east-1", "npx cdk bootstrap -c env=dev",
    ),
    "an old bootstrap": (
        lambda it: (it.client("cloudformation").delete_stack(StackName="CDKToolkit"), it.bootstrap("5"))[0],
        "bootstrap", "the bootstrap is version 5, and the stack needs 6", "npx cdk bootstrap -c env=dev",
    ),
    "a stack that was rolled back": (
        broken_stack, "stack", "headrace-dev is ROLLBACK_COMPLETE", "aws cloudformation delete-stack",
    ),
    "a name that is taken": (
        group, "names", "there is a model package group headrace-dev already", "headrace --env dev adopt",
    ),
    "no spot quota": (
        lambda it: it.quota(SPOT, 0),
        "quota", f"{SPOT} is 0, and 1 are needed", "servicequotas/home/services/sagemaker/quotas/L-",
    ),
    "a spot quota for fewer runs": (
        lambda it: it.quota(SPOT, 2),
        "quota", f"{SPOT} is 2, enough for 2 runs at once, and max_concurrent_runs is 5", "max_concurrent_runs = 2",
    ),
    "no on-demand quota": (
        lambda it: (it.set(capacity="on-demand"), it.quota("ml.g4dn.xlarge for training job usage", 0))[0],
        "quota", "ml.g4dn.xlarge for training job usage is 0", "train_instance_type of [dev]",
    ),
    "no quota for a warm pool": (
        lambda it: (it.set(capacity="on-demand", keep_alive_seconds=600),
                    it.quota("ml.g4dn.xlarge for training warm pool usage", 0))[0],
        "quota", "ml.g4dn.xlarge for training warm pool usage is 0", "or leave it out: keep_alive_seconds of [dev]",
    ),
    "no processing quota": (
        lambda it: it.quota("ml.m5.xlarge for processing job usage", 0),
        "quota", "ml.m5.xlarge for processing job usage is 0", "processing_instance_type of [dev]",
    ),
    "few instances of all types together": (
        lambda it: it.quota("Number of instances across all spot training jobs", 0),
        "quota", "Number of instances across all spot training jobs is 0", "ask AWS for 1 or more",
    ),
    "no endpoint quota": (
        lambda it: it.quota(ENDPOINT, 0), "quota", f"{ENDPOINT} is 0, and 2 are needed", "endpoint_instance_type",
    ),
    "an endpoint quota without room for an update": (
        lambda it: it.quota(ENDPOINT, 1),
        "quota", "an update starts 1 new beside the old", "ask AWS for 2 or more",
    ),
    "no quota for another VPC": (
        vpcs, "quota", "VPCs per Region is 1", "quotas/L-F678F1CE",
    ),
    "few concurrent executions": (
        lambda it: it.describe("lambda_concurrency = 5"),
        "lambda", "5 of 5 concurrent executions", "services/lambda/quotas/L-B99A9384",
    ),
    "a tag of an image that is not there": (
        lambda it: it.describe('missing_images = ["pytorch:2.13-cpu-amzn2023-sagemaker"]'),
        "image", "has no pytorch:2.13-cpu-amzn2023-sagemaker", "correct processing_image under [dev]",
    ),
    "a digest that is not there": (
        lambda it: it.set(training_image=f"pytorch:2.13-cu133-amzn2023-sagemaker@sha256:{'0' * 64}"),
        "image", "training_image: the registry", "correct training_image under [dev]",
    ),
    "a zone that lacks most instances": (
        zone, "zone", "us-east-1a is use1-az3 in this account", "availability_zones = ['us-east-1b', 'us-east-1c']",
    ),
    "a zone that is not there": (
        lambda it: it.set(network_access="vpc", availability_zones=["us-east-1a", "us-east-1f"]),
        "zone", "us-east-1f is not available", "availability_zones = ",
    ),
    "a zone without an instance type": (
        lacking_type,
        "offering", "us-east-1a has no ml.g4dn.xlarge", "availability_zones = ['us-east-1b', 'us-east-1c']",
    ),
    "an e-mail address that was not confirmed": (
        unconfirmed, "notices", "email ml@example.com gets no notices", "aws sns subscribe --topic-arn arn:aws:sns:",
    ),
    "a data key that is not there": (
        lambda it: it.set(data_key=f"arn:aws:kms:{REGION}:{it.number}:key/12345678-1234-1234-1234-123456789012"),
        "data key", "is not there", "or leave it out",
    ),
    "an inactive cost allocation tag": (
        lambda it: (it.set(monthly_budget=100.0), it.describe('inactive_cost_tags = ["headrace:environment"]'))[0],
        "cost tag", "headrace:environment is not active", "aws ce update-cost-allocation-tags-status",
    ),
    "a budget after credits": (
        budget, "budget", "dev-budget counts what is left after credits", "npx cdk deploy -c env=dev",
    ),
}  # fmt: skip


@tries("budgets.DescribeBudgets", "AccountId")
@tries("ec2.DescribeInstanceTypeOfferings", "LocationType Filters")
@tries("kms.DescribeKey", "KeyId")
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_with_its_cure(headrace: Headrace, account: Account, fault: str) -> None:
    plant, check, found, cure = FAULTS[fault]
    if check not in ("credentials", "account", "region"):
        account.bootstrap("21")
    plant(account)
    result = headrace("--env", "dev", "doctor", "--json")
    assert result.status == 1, result.err
    problems = [item for item in result.data if item["result"] == "problem"]
    (named,) = [item for item in problems if found in item["found"]]
    assert named["check"] == check
    assert cure in named["hint"]
    assert len(problems) == 1, "nothing else is wrong with this account"
    assert "the account of environment dev has 1 problem\n" in result.err


def test_at_least_20_faults_are_planted() -> None:
    assert len(FAULTS) >= 20


def test_a_healthy_account_has_no_problem(headrace: Headrace, account: Account) -> None:
    account.set(monthly_budget=100.0, network_access="vpc")
    account.bootstrap("21")
    result = headrace("--env", "dev", "doctor")
    assert result.status == 0, result.err
    assert "no problem was found" in result.err
    assert f"{SPOT} is 1000, and 1 are needed: 1 spot training job on 1 ml.g4dn.xlarge" in result.out


def test_what_may_not_be_asked_could_not_be_checked(headrace: Headrace, account: Account) -> None:
    account.bootstrap("21")
    iam = account.client("iam")
    allowed = ["cloudformation:*", "ec2:*", "ecr:*", "lambda:*", "sagemaker:*", "sts:*"]
    statement = {"Effect": "Allow", "Action": allowed, "Resource": "*"}
    iam.create_user(UserName="someone")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="someone", PolicyName="p", PolicyDocument=policy)
    key = iam.create_access_key(UserName="someone")["AccessKey"]
    account.patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    account.patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    result = headrace("--env", "dev", "doctor", "--json")
    assert result.status == 0, result.err
    (unchecked,) = [item for item in result.data if item["result"] == "could not be checked"]
    assert "ListServiceQuotas" in unchecked["found"]
    assert "1 could not be checked" in result.err


def test_a_first_deployment_is_refused_where_there_is_a_problem(headrace: Headrace, account: Account) -> None:
    account.bootstrap("21")
    account.quota(SPOT, 0)
    result = headrace("--env", "dev", "deploy")
    assert result.status == 1
    assert f"{SPOT} is 0" in result.out
    assert not (account.folder / "npx.said").exists()
    account.describe("")
    result = headrace("--env", "dev", "deploy")
    assert result.status == 0, result.err
    assert (account.folder / "npx.said").read_text() == "--no-install cdk deploy -c env=dev\n"


def test_a_deployment_that_fails_leads_to_the_doctor(headrace: Headrace, account: Account) -> None:
    account.deploy("headrace-dev")
    (account.folder / ".venv/bin/npx").write_text("#!/bin/sh\nexit 3\n")
    result = headrace("--env", "dev", "deploy")
    assert result.status == 1
    assert "cdk deploy ended with status 3" in result.err
    assert "hint: headrace --env dev doctor; its own words are above." in result.err


def test_an_environment_that_promotes_is_led_to_what_it_can_serve(headrace: Headrace, account: Account) -> None:
    account.deploy("headrace-live")
    dev = (account.folder / "environments.toml").read_text()
    live = f'[live]\naccount = "{account.number}"\nregion = "{REGION}"\npromotes_from = "dev"\n'
    (account.folder / "environments.toml").write_text(dev + live)
    assert headrace("--env", "live", "deploy").next.startswith("headrace --env live models")


def test_a_later_deployment_does_not_ask(headrace: Headrace, account: Account) -> None:
    """What is deployed and works is not to be kept from an update by an account that has changed."""
    account.deploy("headrace-dev")
    account.quota(SPOT, 0)
    result = headrace("--env", "dev", "deploy")
    assert result.status == 0, result.err
    assert "quota" not in result.out


def test_the_local_cloud_is_looked_at_as_well(
    headrace: Headrace, account: Account, cloud: FakeCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    here: Any = account.running
    monkeypatch.setattr(cloud, "instance", here)
    account.quota(ENDPOINT, 1)
    result = headrace("--local", "--env", "dev", "doctor")
    assert result.status == 1
    assert f"{ENDPOINT} is 1, and 2 are needed" in result.out
    account.describe("")
    assert headrace("--local", "--env", "dev", "doctor").status == 0
