"""SageMaker projects: CloudFormation makes their stacks, with the launch role's permissions."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from projects_in_use import (
    BUCKET,
    MAY_CREATE,
    TEMPLATE,
    client,
    detail_of,
    end_of,
    launch_role,
    outputs_of,
    provider,
    put_template,
    user,
)
from tried import tries

from local_cloud.process import Running


@pytest.fixture(scope="module")
def url(cloud: Running) -> str:
    return put_template(cloud)


@pytest.fixture(scope="module")
def role(cloud: Running) -> str:
    return launch_role(cloud, "launch")


@pytest.fixture
def sagemaker(cloud: Running) -> Iterator[Any]:
    made = client(cloud, "sagemaker")
    yield made
    made.close()


def tags(pairs: list[dict[str, str]]) -> dict[str, str]:
    return {pair["Key"]: pair["Value"] for pair in pairs if not pair["Key"].startswith("aws:")}


def create(sagemaker: Any, name: str, *providers: dict[str, Any], **more: Any) -> dict[str, Any]:
    sagemaker.create_project(ProjectName=name, TemplateProviders=list(providers), **more)
    return end_of(sagemaker, name)


@tries("sagemaker.CreateProject", "ProjectName ProjectDescription Tags TemplateProviders")
@tries("sagemaker.DescribeProject", "ProjectName")
def test_a_project_is_a_stack_of_its_template_with_its_name_and_tags(
    cloud: Running, sagemaker: Any, url: str, role: str
) -> None:
    """Every resource of the template carries the project's tags, and the stack the parameters that SageMaker gives."""
    begun = sagemaker.create_project(
        ProjectName="birds", ProjectDescription="Which bird?", Tags=[{"Key": "team", "Value": "owls"}],
        TemplateProviders=[provider(url, role, Seconds="77")],
    )  # fmt: skip
    project = end_of(sagemaker, "birds")
    detail = detail_of(project)
    assert (project["ProjectStatus"], detail["StackDetail"]["StatusMessage"]) == ("CreateCompleted", "CREATE_COMPLETE")
    assert (project["ProjectId"], project["ProjectDescription"]) == (begun["ProjectId"], "Which bird?")
    assert detail["StackDetail"]["Name"] == f"SP-{project['ProjectId']}"
    assert (detail["TemplateURL"], detail["RoleARN"]) == (url, role)
    assert detail["Parameters"] == [{"Key": "Seconds", "Value": "77"}]
    expected = {"sagemaker:project-name": "birds", "sagemaker:project-id": project["ProjectId"], "team": "owls"}
    stack = client(cloud, "cloudformation").describe_stacks(StackName=detail["StackDetail"]["Id"])["Stacks"][0]
    outputs = outputs_of(cloud, project)
    queue = client(cloud, "sqs").get_queue_attributes(QueueUrl=outputs["QueueUrl"], AttributeNames=["All"])
    assert queue["Attributes"]["VisibilityTimeout"] == "77"
    assert queue["Attributes"]["QueueArn"].endswith(f":birds-{project['ProjectId']}")
    assert tags(stack["Tags"]) == expected
    assert tags(client(cloud, "s3").get_bucket_tagging(Bucket=outputs["DataBucketName"])["TagSet"]) == expected
    assert client(cloud, "sqs").list_queue_tags(QueueUrl=outputs["QueueUrl"])["Tags"].items() >= expected.items()
    assert tags(sagemaker.list_tags(ResourceArn=project["ProjectArn"])["Tags"]) == {"team": "owls"}


@tries("sagemaker.DeleteProject", "ProjectName")
def test_two_projects_of_one_template_share_nothing(cloud: Running, sagemaker: Any, url: str, role: str) -> None:
    for name in ("left", "right"):
        sagemaker.create_project(ProjectName=name, TemplateProviders=[provider(url, role)])
    left, right = (end_of(sagemaker, name) for name in ("left", "right"))
    assert left["ProjectStatus"] == right["ProjectStatus"] == "CreateCompleted"
    mine, theirs = outputs_of(cloud, left), outputs_of(cloud, right)
    assert set(mine.values()).isdisjoint(theirs.values())
    sagemaker.delete_project(ProjectName="left")
    assert end_of(sagemaker, "left")["ProjectStatus"] == "DeleteCompleted"
    client(cloud, "s3").head_bucket(Bucket=theirs["DataBucketName"])
    with pytest.raises(ClientError, match="404"):
        client(cloud, "s3").head_bucket(Bucket=mine["DataBucketName"])
    listed = {item["ProjectName"]: item["ProjectStatus"] for item in sagemaker.list_projects()["ProjectSummaryList"]}
    assert (listed["left"], listed["right"]) == ("DeleteCompleted", "CreateCompleted")


def test_a_template_that_fails_says_which_resource_and_leaves_nothing(
    cloud: Running, sagemaker: Any, url: str, role: str
) -> None:
    before = client(cloud, "s3").list_buckets()["Buckets"]
    project = create(sagemaker, "fails", provider(url, role, Taken="x"))
    assert project["ProjectStatus"] == "CreateFailed"
    message = detail_of(project)["StackDetail"]["StatusMessage"]
    assert message.startswith("ROLLBACK_COMPLETE: Second (AWS::SQS::Queue): ")
    assert client(cloud, "s3").list_buckets()["Buckets"] == before
    with pytest.raises(ClientError, match="Cannot update Project in CreateFailed status"):
        sagemaker.update_project(ProjectName="fails", TemplateProvidersToUpdate=[provider(url)])
    with pytest.raises(ClientError, match=r"Project with name \(fails\) already exists"):
        create(sagemaker, "fails", provider(url, role))
    sagemaker.delete_project(ProjectName="fails")
    assert end_of(sagemaker, "fails")["ProjectStatus"] == "DeleteCompleted"
    again = create(sagemaker, "fails", provider(url, role))  # the name is free
    assert (again["ProjectStatus"], again["ProjectId"] != project["ProjectId"]) == ("CreateCompleted", True)
    with pytest.raises(ClientError, match="Project nobody does not exist"):
        sagemaker.describe_project(ProjectName="nobody")


@pytest.mark.parametrize(
    ("name", "text", "parameters", "said"),
    [
        ("unknown", TEMPLATE, {"Secnods": "1"}, "Parameters: [Secnods] do not exist in the template"),
        ("no-number", TEMPLATE, {"Seconds": "soon"}, "'soon' is not a valid Number"),
        ("no-yaml", "Resources: [", {}, "Template format error"),
        ("nothing", None, {}, "Template not found"),
    ],
)
def test_what_cloudformation_refuses_is_the_message_of_the_project(
    cloud: Running, sagemaker: Any, role: str, name: str, text: str | None, parameters: dict[str, str], said: str
) -> None:
    url = put_template(cloud, text, "other.yaml") if text else f"{cloud.endpoint}/{BUCKET}/nothing.yaml"
    project = create(sagemaker, name, provider(url, role, **parameters))
    assert project["ProjectStatus"] == "CreateFailed"
    assert said in detail_of(project)["StackDetail"]["StatusMessage"]
    sagemaker.delete_project(ProjectName=name)  # there is no stack, and no harm
    assert end_of(sagemaker, name)["ProjectStatus"] == "DeleteCompleted"
    with pytest.raises(ClientError, match="Cannot delete Project in DeleteCompleted status"):
        sagemaker.delete_project(ProjectName=name)


@tries("sagemaker.UpdateProject", "ProjectName ProjectDescription TemplateProvidersToUpdate")
def test_an_update_changes_the_stack_and_a_failed_one_leaves_it(
    cloud: Running, sagemaker: Any, url: str, role: str
) -> None:
    """A parameter without a value keeps its own; a description alone touches no stack."""
    create(sagemaker, "changes", provider(url, role, Seconds="10"))
    sagemaker.update_project(ProjectName="changes", ProjectDescription="new")
    assert sagemaker.describe_project(ProjectName="changes")["ProjectDescription"] == "new"

    def update(**parameters: str | None) -> tuple[str, list[dict[str, str]], str]:
        sagemaker.update_project(ProjectName="changes", TemplateProvidersToUpdate=[provider(url, **parameters)])
        project = end_of(sagemaker, "changes")
        queue = outputs_of(cloud, project)["QueueUrl"]
        attributes = client(cloud, "sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        return project["ProjectStatus"], detail_of(project)["Parameters"], attributes["VisibilityTimeout"]

    twenty = [{"Key": "Seconds", "Value": "20"}]
    assert update(Seconds="20") == ("UpdateCompleted", twenty, "20")
    assert update(Seconds=None) == ("UpdateCompleted", twenty, "20")
    assert update(Seconds="25", Taken="x") == ("UpdateFailed", twenty, "20")
    assert update() == ("UpdateCompleted", [], "30")
    other = provider(url)
    other["CfnTemplateProvider"]["TemplateName"] = "other"
    with pytest.raises(ClientError, match="The project has no template other"):
        sagemaker.update_project(ProjectName="changes", TemplateProvidersToUpdate=[other])


@pytest.mark.parametrize(
    "missing", ["iam:PassRole", "s3:GetObject", "cloudformation:CreateStack", "sagemaker:CreateProject"]
)
def test_creating_a_project_needs_each_of_these(cloud: Running, url: str, role: str, missing: str) -> None:
    given = ["sagemaker:CreateProject", "cloudformation:CreateStack", "s3:GetObject", "iam:PassRole"]
    key = user(cloud, missing.replace(":", "-"), [action for action in given if action != missing])
    with pytest.raises(ClientError, match=f"AccessDenied.* is not authorized to perform: {missing} "):
        client(cloud, "sagemaker", key).create_project(ProjectName="denied", TemplateProviders=[provider(url, role)])


def test_tags_and_the_service_that_gets_the_role_are_also_checked(cloud: Running, url: str, role: str) -> None:
    """As on AWS the role is passed to CloudFormation, whose name a policy may demand."""
    iam = client(cloud, "iam")
    key = user(cloud, "exact", ["cloudformation:CreateStack", "s3:GetObject", "sagemaker:CreateProject"])
    policy = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole","Resource":"*","Condition":'
        '{"StringEquals":{"iam:PassedToService":"%s"}}}]}'
    )
    sagemaker = client(cloud, "sagemaker", key)
    request = {"ProjectName": "passed", "TemplateProviders": [provider(url, role)]}
    iam.put_user_policy(UserName="exact", PolicyName="pass", PolicyDocument=policy % "sagemaker.amazonaws.com")
    with pytest.raises(ClientError, match="iam:PassRole"):
        sagemaker.create_project(**request)
    iam.put_user_policy(UserName="exact", PolicyName="pass", PolicyDocument=policy % "cloudformation.amazonaws.com")
    with pytest.raises(ClientError, match="sagemaker:AddTags"):
        sagemaker.create_project(**request, Tags=[{"Key": "team", "Value": "owls"}])
    sagemaker.create_project(**request)
    assert end_of(client(cloud, "sagemaker"), "passed")["ProjectStatus"] == "CreateCompleted"


def test_a_user_without_other_permissions_may_create_a_project_with_the_launch_role(
    cloud: Running, url: str, role: str
) -> None:
    key = user(cloud, "scientist", MAY_CREATE)
    assert create(client(cloud, "sagemaker", key), "theirs", provider(url, role))["ProjectStatus"] == "CreateCompleted"
    with pytest.raises(ClientError, match="s3:CreateBucket"):
        client(cloud, "s3", key).create_bucket(Bucket="not-theirs")


def test_a_role_that_does_not_trust_cloudformation_launches_nothing(cloud: Running, sagemaker: Any, url: str) -> None:
    role = launch_role(cloud, "for-sagemaker", service="sagemaker.amazonaws.com")
    with pytest.raises(ClientError, match=r"AccessDenied.*Could not assume role .*'cloudformation.amazonaws.com'"):
        sagemaker.create_project(ProjectName="untrusted", TemplateProviders=[provider(url, role)])
    with pytest.raises(ClientError, match="is invalid or cannot be assumed"):
        client(cloud, "cloudformation").create_stack(StackName="untrusted", TemplateBody=TEMPLATE, RoleARN=role)


@pytest.mark.parametrize("missing", ["s3:CreateBucket", "sqs:CreateQueue", "iam:CreateRole", "sqs:TagQueue"])
def test_the_launch_role_needs_what_each_resource_takes(cloud: Running, sagemaker: Any, url: str, missing: str) -> None:
    name = f"without-{missing.replace(':', '-')}"
    allowed = {"Effect": "Allow", "Action": ["s3:*", "sqs:*", "iam:*"], "Resource": "*"}
    role = launch_role(cloud, name, allowed, {"Effect": "Deny", "Action": missing, "Resource": "*"})
    project = create(sagemaker, name, provider(url, role))
    message = detail_of(project)["StackDetail"]["StatusMessage"]
    assert project["ProjectStatus"] == "CreateFailed"
    assert f":assumed-role/{name}/AWSCloudFormation is not authorized to perform: {missing} on resource" in message


def test_a_launch_role_can_be_bound_to_make_only_roles_with_a_boundary(
    cloud: Running, sagemaker: Any, url: str
) -> None:
    """The boundary also limits the role that is created, whatever its own policy allows."""
    iam = client(cloud, "iam")
    document = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
    boundary = iam.create_policy(PolicyName="boundary", PolicyDocument=document)["Policy"]["Arn"]
    others = {"Effect": "Allow", "Action": ["s3:*", "sqs:*", "iam:DeleteRole*", "iam:TagRole"], "Resource": "*"}
    bound = {
        "Effect": "Allow", "Action": ["iam:CreateRole", "iam:PutRolePolicy"], "Resource": "arn:aws:iam::*:role/SP-*",
        "Condition": {"StringEquals": {"iam:PermissionsBoundary": boundary}},
    }  # fmt: skip
    role = launch_role(cloud, "bound", others, bound)
    unbound = create(sagemaker, "unbound", provider(url, role))
    assert "iam:CreateRole" in detail_of(unbound)["StackDetail"]["StatusMessage"]
    project = create(sagemaker, "bound", provider(url, role, Boundary=boundary))
    assert project["ProjectStatus"] == "CreateCompleted", detail_of(project)
    made = [item for item in iam.list_roles()["Roles"] if item["RoleName"].startswith(f"SP-{project['ProjectId']}-")]
    got = iam.get_role(RoleName=made[0]["RoleName"])["Role"]
    assert got["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary


def test_what_the_local_cloud_does_not_serve_is_said(sagemaker: Any, cloud: Running, url: str, role: str) -> None:
    with pytest.raises(ClientError, match="does not serve ServiceCatalogProvisioningDetails"):
        sagemaker.create_project(ProjectName="p", ServiceCatalogProvisioningDetails={"ProductId": "prod-1"})
    with pytest.raises(ClientError, match="with a RoleARN only"):
        sagemaker.create_project(ProjectName="p", TemplateProviders=[provider(url)])
    with pytest.raises(ClientError, match="is not an object in S3"):
        sagemaker.create_project(ProjectName="p", TemplateProviders=[provider("https://example.com/a/b", role)])
    with pytest.raises(ClientError, match="SageMaker itself gives"):
        sagemaker.create_project(ProjectName="p", TemplateProviders=[provider(url, role, SageMakerProjectId="x")])
