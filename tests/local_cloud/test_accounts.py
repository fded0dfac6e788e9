"""What one account has of another's: only what the policies of both sides allow, as on AWS."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from pipeline_runs import IMAGE, make_role

from local_cloud.process import Running

OWNER, OTHER = "000000000000", "222222222222"
REGION = "us-east-1"
GROUP = "shared-models"
GROUP_ARN = f"arn:aws:sagemaker:{REGION}:{OWNER}:model-package-group/{GROUP}"
VERSIONS = f"arn:aws:sagemaker:{REGION}:{OWNER}:model-package/{GROUP}/*"
BUCKET = "shared-artifacts"
BUS = "decisions"
BUS_ARN = f"arn:aws:events:{REGION}:{OTHER}:event-bus/{BUS}"
IN_OTHER = {"AWS": f"arn:aws:iam::{OTHER}:root"}

Connect = Callable[..., Any]


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **item} for item in statements]})


@pytest.fixture(scope="module")
def of(cloud: Running) -> Connect:
    """A client of an account's root, or with the credentials that STS gave."""

    def connect(account: str, service: str, credentials: dict[str, str] | None = None) -> Any:
        keys = {"aws_access_key_id": account, "aws_secret_access_key": cloud.secret_key(account)}
        if credentials:
            keys = {
                "aws_access_key_id": credentials["AccessKeyId"],
                "aws_secret_access_key": credentials["SecretAccessKey"],
                "aws_session_token": credentials["SessionToken"],
            }
        return boto3.client(
            service, endpoint_url=cloud.endpoint, verify=str(cloud.certificate), region_name=REGION, **keys
        )

    return connect


@pytest.fixture(scope="module")
def as_role(of: Connect) -> Connect:
    """A client as a role of the other account, that may do what is given."""

    def connect(name: str, service: str, *statements: dict[str, Any]) -> Any:
        trust = {"Principal": IN_OTHER, "Action": "sts:AssumeRole"}
        role = of(OTHER, "iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        of(OTHER, "iam").put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=document(*statements))
        credentials = of(OTHER, "sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return of(OTHER, service, credentials)

    return connect


@pytest.fixture(scope="module")
def version(of: Connect) -> str:
    """The ARN of an approved version of the owner's."""
    sagemaker = of(OWNER, "sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/runs/model.tar.gz"}
    arn: str = sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        InferenceSpecification={
            "Containers": [container],
            "SupportedContentTypes": [],
            "SupportedResponseMIMETypes": [],
        },
    )["ModelPackageArn"]
    return arn


@pytest.fixture
def shared(of: Connect, version: str) -> Iterator[Callable[..., None]]:
    """Puts a policy on the group; without, the group has none."""
    sagemaker = of(OWNER, "sagemaker")

    def put(*statements: dict[str, Any]) -> None:
        sagemaker.put_model_package_group_policy(ModelPackageGroupName=GROUP, ResourcePolicy=document(*statements))

    yield put
    sagemaker.delete_model_package_group_policy(ModelPackageGroupName=GROUP)


READ = {
    "Principal": IN_OTHER,
    "Action": ["sagemaker:DescribeModelPackage", "sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"],
    "Resource": [GROUP_ARN, VERSIONS],
}


def denied(call: Callable[[], Any]) -> str:
    """What a refusal says."""
    with pytest.raises(ClientError) as refused:
        call()
    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return str(refused.value)


def test_a_registry_without_a_policy_is_its_accounts_alone(of: Connect, version: str) -> None:
    """Not even another account's root user, which may do everything in that account, can read it."""
    other = of(OTHER, "sagemaker")
    for call, action in (
        (lambda: other.describe_model_package(ModelPackageName=version), "DescribeModelPackage"),
        (lambda: other.describe_model_package_group(ModelPackageGroupName=GROUP_ARN), "DescribeModelPackageGroup"),
        (lambda: other.list_model_packages(ModelPackageGroupName=GROUP_ARN), "ListModelPackages"),
        (
            lambda: other.update_model_package(ModelPackageArn=version, ModelApprovalStatus="Rejected"),
            "UpdateModelPackage",
        ),
        (lambda: other.delete_model_package(ModelPackageName=version), "DeleteModelPackage"),
        (lambda: other.create_model_package(ModelPackageGroupName=GROUP_ARN), "CreateModelPackage"),
    ):
        assert f"no resource-based policy allows the sagemaker:{action} action" in denied(call)
    assert of(OWNER, "sagemaker").describe_model_package(ModelPackageName=version)["ModelApprovalStatus"] == "Approved"


def test_a_name_refers_to_the_callers_account(of: Connect, version: str) -> None:
    with pytest.raises(ClientError, match="does not exist"):
        of(OTHER, "sagemaker").list_model_packages(ModelPackageGroupName=GROUP)


def test_the_policy_opens_the_registry_for_what_it_names(of: Connect, shared: Any, version: str) -> None:
    shared(READ)
    other = of(OTHER, "sagemaker")
    assert other.describe_model_package(ModelPackageName=version)["ModelPackageVersion"] == 1
    assert other.describe_model_package_group(ModelPackageGroupName=GROUP_ARN)["ModelPackageGroupName"] == GROUP
    (package,) = other.list_model_packages(ModelPackageGroupName=GROUP_ARN)["ModelPackageSummaryList"]
    assert package["ModelPackageArn"] == version
    assert "UpdateModelPackage" in denied(
        lambda: other.update_model_package(ModelPackageArn=version, ModelApprovalStatus="Rejected")
    )
    assert "DescribeModelPackage" in denied(
        lambda: of("333333333333", "sagemaker").describe_model_package(ModelPackageName=version)
    )


def test_a_caller_also_needs_its_own_permission(as_role: Connect, shared: Any, version: str) -> None:
    """Said for the other account's version: what a role may do with versions at home does not count."""
    shared(READ)
    at_home = {"Action": "sagemaker:*", "Resource": f"arn:aws:sagemaker:{REGION}:{OTHER}:*"}
    refused = denied(
        lambda: as_role("at-home", "sagemaker", at_home).list_model_packages(ModelPackageGroupName=GROUP_ARN)
    )
    assert "no identity-based policy allows the sagemaker:ListModelPackages action" in refused
    reader = as_role("reader", "sagemaker", {"Action": "sagemaker:ListModelPackages", "Resource": VERSIONS})
    assert len(reader.list_model_packages(ModelPackageGroupName=GROUP_ARN)["ModelPackageSummaryList"]) == 1


def test_a_model_is_made_by_the_role_that_the_policy_names_alone(
    of: Connect, as_role: Connect, shared: Any, version: str
) -> None:
    """It needs CreateModel on the version as well as on the model."""
    endpoint = make_role(of(OTHER, "iam"), "serves", ["s3:GetObject"], ["*"])
    only = {"StringEquals": {"aws:PrincipalArn": f"arn:aws:iam::{OTHER}:role/deployer"}}
    shared(READ, {"Principal": IN_OTHER, "Action": "sagemaker:CreateModel", "Resource": VERSIONS, "Condition": only})
    model = {"Action": "sagemaker:CreateModel", "Resource": f"arn:aws:sagemaker:{REGION}:{OTHER}:model/*"}
    package = {"Action": "sagemaker:CreateModel", "Resource": VERSIONS}
    passing = {"Action": "iam:PassRole", "Resource": endpoint}

    def create(sagemaker: Any) -> Any:
        container = {"ModelPackageName": version}
        return sagemaker.create_model(ModelName="theirs", ExecutionRoleArn=endpoint, PrimaryContainer=container)

    assert "resource-based" in denied(lambda: create(as_role("someone", "sagemaker", model, package, passing)))
    deployer = as_role("deployer", "sagemaker", model, passing)
    assert "identity-based" in denied(lambda: create(deployer))
    of(OTHER, "iam").put_role_policy(
        RoleName="deployer", PolicyName="all", PolicyDocument=document(model, package, passing)
    )
    assert create(deployer)["ModelArn"].endswith(f":{OTHER}:model/theirs")


def test_a_policy_is_put_got_and_deleted_with_its_group(of: Connect) -> None:
    sagemaker = of(OWNER, "sagemaker")
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.put_model_package_group_policy(ModelPackageGroupName="passing", ResourcePolicy=document(READ))
    sagemaker.create_model_package_group(ModelPackageGroupName="passing")
    with pytest.raises(ClientError, match="no resource policy"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName="passing")
    with pytest.raises(ClientError, match="not JSON"):
        sagemaker.put_model_package_group_policy(ModelPackageGroupName="passing", ResourcePolicy="{")
    sagemaker.put_model_package_group_policy(ModelPackageGroupName="passing", ResourcePolicy=document(READ))
    assert sagemaker.get_model_package_group_policy(ModelPackageGroupName="passing")["ResourcePolicy"] == document(READ)
    sagemaker.delete_model_package_group(ModelPackageGroupName="passing")
    sagemaker.create_model_package_group(ModelPackageGroupName="passing")
    with pytest.raises(ClientError, match="no resource policy"):
        sagemaker.get_model_package_group_policy(ModelPackageGroupName="passing")
    sagemaker.delete_model_package_group(ModelPackageGroupName="passing")


def test_a_group_that_another_account_deletes_takes_its_tags_with_it(of: Connect, as_role: Connect) -> None:
    owner, name = of(OWNER, "sagemaker"), "deleted-by-another"
    made = {"ModelPackageGroupName": name}
    arn = owner.create_model_package_group(**made, Tags=[{"Key": "k", "Value": "v"}])["ModelPackageGroupArn"]
    allowed = {"Action": "sagemaker:DeleteModelPackageGroup", "Resource": arn}
    owner.put_model_package_group_policy(**made, ResourcePolicy=document({"Principal": IN_OTHER, **allowed}))
    as_role("deleter", "sagemaker", allowed).delete_model_package_group(ModelPackageGroupName=arn)
    owner.create_model_package_group(**made)
    assert owner.list_tags(ResourceArn=arn)["Tags"] == []
    owner.delete_model_package_group(**made)


def test_tags_of_another_account_and_region_are_refused(of: Connect, version: str) -> None:
    tags = [{"Key": "k", "Value": "v"}]
    elsewhere = GROUP_ARN.replace(REGION, "eu-west-1")
    for client, arn in ((of(OTHER, "sagemaker"), GROUP_ARN), (of(OWNER, "sagemaker"), elsewhere)):
        for call in (
            lambda client=client, arn=arn: client.add_tags(ResourceArn=arn, Tags=tags),
            lambda client=client, arn=arn: client.list_tags(ResourceArn=arn),
            lambda client=client, arn=arn: client.delete_tags(ResourceArn=arn, TagKeys=["k"]),
        ):
            with pytest.raises(ClientError, match="another account or region"):
                call()


def test_an_object_is_read_by_the_role_that_the_bucket_names_alone(of: Connect, as_role: Connect) -> None:
    """The role's own policy must allow it as well; the policy may require the account that owns the bucket."""
    s3 = of(OWNER, "s3")
    s3.create_bucket(Bucket=BUCKET)
    for key in ("runs/model", "datasets/secret"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"weights")
    only = {"StringEquals": {"aws:PrincipalArn": f"arn:aws:iam::{OTHER}:role/endpoint"}}
    statement = {
        "Principal": IN_OTHER,
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{BUCKET}/runs/*",
        "Condition": only,
    }
    s3.put_bucket_policy(Bucket=BUCKET, Policy=document(statement))

    def reading(account: str) -> dict[str, Any]:
        owned = {"StringEquals": {"aws:ResourceAccount": account}}
        return {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::*", "Condition": owned}

    endpoint = as_role("endpoint", "s3", reading(OWNER))
    assert endpoint.get_object(Bucket=BUCKET, Key="runs/model")["Body"].read() == b"weights"
    denied(lambda: endpoint.get_object(Bucket=BUCKET, Key="datasets/secret"))
    someone = as_role("someone-else", "s3", reading(OWNER))
    denied(lambda: someone.get_object(Bucket=BUCKET, Key="runs/model"))
    of(OTHER, "iam").put_role_policy(RoleName="endpoint", PolicyName="all", PolicyDocument=document(reading(OTHER)))
    denied(lambda: endpoint.get_object(Bucket=BUCKET, Key="runs/model"))


@pytest.fixture(scope="module")
def forwarded(of: Connect) -> Callable[[], list[dict[str, Any]]]:
    """A rule of the owner's whose target is a bus of the other account; what a queue behind that bus then gets."""
    events, sqs = of(OTHER, "events"), of(OTHER, "sqs")
    events.create_event_bus(Name=BUS)
    queue = sqs.create_queue(QueueName="decided")["QueueUrl"]
    events.put_rule(Name="decided", EventBusName=BUS, EventPattern=json.dumps({"account": [OWNER]}))
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.put_targets(Rule="decided", EventBusName=BUS, Targets=[{"Id": "queue", "Arn": arn}])
    forwarder = make_role(of(OWNER, "iam"), "forwarder", ["events:PutEvents"], [BUS_ARN])
    own = of(OWNER, "events")
    own.put_rule(Name="forward", EventPattern=json.dumps({"source": ["test.decisions"]}))
    own.put_targets(Rule="forward", Targets=[{"Id": "bus", "Arn": BUS_ARN, "RoleArn": forwarder}])

    def put() -> list[dict[str, Any]]:
        own.put_events(Entries=[{"Source": "test.decisions", "DetailType": "decided", "Detail": '{"version": 1}'}])
        messages = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    return put


def failures(of: Connect) -> float:
    metrics = of(OWNER, "cloudwatch").get_metric_statistics(
        Namespace="AWS/Events", MetricName="FailedInvocations", Dimensions=[{"Name": "RuleName", "Value": "forward"}],
        StartTime=time.time() - 600, EndTime=time.time() + 60, Period=3600, Statistics=["Sum"],
    )  # fmt: skip
    return sum(point["Sum"] for point in metrics["Datapoints"])


def bus_policy(of: Connect, rule: str) -> None:
    """As CloudFormation makes it."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OWNER}:root"},
        "Action": "events:PutEvents",
        "Resource": BUS_ARN,
        "Condition": {"ArnEquals": {"aws:SourceArn": f"arn:aws:events:{REGION}:{OWNER}:rule/{rule}"}},
    }
    properties = {"EventBusName": BUS, "StatementId": "Tell", "Statement": statement}
    template = {"Resources": {"Policy": {"Type": "AWS::Events::EventBusPolicy", "Properties": properties}}}
    cloudformation = of(OTHER, "cloudformation")
    known = [stack["StackName"] for stack in cloudformation.describe_stacks()["Stacks"]]
    put, done = (
        (cloudformation.update_stack, "UPDATE_COMPLETE")
        if BUS in known
        else (cloudformation.create_stack, "CREATE_COMPLETE")
    )
    put(StackName=BUS, TemplateBody=json.dumps(template))
    wait_for_stack(of, done)


def wait_for_stack(of: Connect, status: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        stacks = of(OTHER, "cloudformation").list_stacks()["StackSummaries"]
        if next(stack["StackStatus"] for stack in stacks if stack["StackName"] == BUS) == status:
            return
        time.sleep(0.1)
    raise AssertionError(f"the stack is not {status}")


def test_an_event_crosses_to_the_bus_whose_policy_lets_the_rule_in(of: Connect, forwarded: Any) -> None:
    """Without a policy, or for another rule, the event is refused and counted. The event keeps its sender's account."""
    assert forwarded() == []
    assert failures(of) == 1
    bus_policy(of, "another")
    assert forwarded() == []
    assert failures(of) == 2
    bus_policy(of, "forward")
    (event,) = forwarded()
    assert (event["account"], event["source"], event["detail"]) == (OWNER, "test.decisions", {"version": 1})
    assert failures(of) == 2
    of(OTHER, "cloudformation").delete_stack(StackName=BUS)
    wait_for_stack(of, "DELETE_COMPLETE")
    assert "Policy" not in of(OTHER, "events").describe_event_bus(Name=BUS)


def test_the_rules_role_also_needs_the_permission(of: Connect, forwarded: Any) -> None:
    bus_policy(of, "forward")
    nothing = document({"Action": "events:PutEvents", "Resource": f"{BUS_ARN}-another"})
    of(OWNER, "iam").put_role_policy(RoleName="forwarder", PolicyName="all", PolicyDocument=nothing)
    before = failures(of)
    assert forwarded() == []
    assert failures(of) == before + 1
