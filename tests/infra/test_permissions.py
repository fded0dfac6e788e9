"""Least privilege, role by role. What the local cloud does not enforce is asserted here."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from templates import actions, listed, on

LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}
CONSUME = {
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
}
RUN_CONTAINERS = {
    "cloudwatch:PutMetricData",
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:GetAuthorizationToken",
    "ecr:GetDownloadUrlForLayer",
    "logs:CreateLogGroup",
    "logs:CreateLogStream",
    "logs:DescribeLogStreams",
    "logs:PutLogEvents",
}
ACTIONS = {
    "StartPipeline/Role": LOG
    | CONSUME
    | {
        "iam:PassRole",
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sagemaker:AddTags",
        "sagemaker:CreatePipeline",
        "sagemaker:DeleteTags",
        "sagemaker:DescribePipeline",
        "sagemaker:DescribePipelineExecution",
        "sagemaker:ListPipelineExecutions",
        "sagemaker:ListTags",
        "sagemaker:StartPipelineExecution",
        "sagemaker:UpdatePipeline",
        "sqs:SendMessage",
    },
    "FindChampion/Role": LOG
    | {"kms:Decrypt", "s3:GetObject", "s3:ListBucket", "sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"},
    "StoreModel/Role": LOG
    | {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:DeleteObjectVersion",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    },
    "DeployModel/Role": LOG
    | CONSUME
    | {
        "iam:PassRole",
        "kms:Decrypt",
        "s3:GetObject",
        "sagemaker:AddTags",
        "sagemaker:CreateEndpoint",
        "sagemaker:CreateEndpointConfig",
        "sagemaker:CreateModel",
        "sagemaker:DeleteEndpoint",
        "sagemaker:DeleteTags",
        "sagemaker:DescribeEndpoint",
        "sagemaker:DescribeModelPackage",
        "sagemaker:InvokeEndpoint",
        "sagemaker:ListModelPackages",
        "sagemaker:ListTags",
        "sagemaker:UpdateEndpoint",
        "sqs:SendMessage",
    },
    "Notify/Role": LOG
    | CONSUME
    | {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "logs:DescribeLogStreams",
        "logs:GetLogEvents",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
        "sagemaker:DescribeModelPackage",
        "sagemaker:DescribePipelineExecution",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:ListModelPackages",
        "sagemaker:ListPipelineExecutionSteps",
        "sagemaker:ListPipelineParametersForExecution",
        "sns:Publish",
        "sqs:SendMessage",
    },
    "PipelineRole/Role": {
        "iam:PassRole",
        "kms:Decrypt",
        "lambda:InvokeFunction",
        "s3:GetObject",
        "sagemaker:AddTags",
        "sagemaker:CreateModelPackage",
        "sagemaker:CreateModelPackageGroup",
        "sagemaker:DescribeModelPackageGroup",
        "sagemaker:CreateProcessingJob",
        "sagemaker:CreateTrainingJob",
        "sagemaker:DescribeModelPackage",
        "sagemaker:DescribeProcessingJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:StopProcessingJob",
        "sagemaker:StopTrainingJob",
    },
    "JobRole/Role": RUN_CONTAINERS
    | {
        "kms:Decrypt",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    },
    "EndpointRole/Role": RUN_CONTAINERS | {"kms:Decrypt", "s3:GetObject", "s3:ListBucket"},
    "Approver/Role": {
        "kms:Decrypt",
        "s3:GetObject",
        "sagemaker:DescribeModelPackage",
        "sagemaker:ListModelPackages",
        "sagemaker:UpdateModelPackage",
    },
    "Maintainer/Role": {
        "kms:Decrypt",
        "kms:GenerateDataKey",
        "s3:DeleteObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:PutObject",
    },
    "Source/Deployment/Role": LOG
    | {
        "kms:GenerateDataKey",
        "s3:GetObject",
        "s3:PutObject",
        "sagemaker:DeleteEndpoint",
        "sagemaker:DeleteEndpointConfig",
        "sagemaker:DeleteModel",
        "sagemaker:DeletePipeline",
        "sagemaker:DescribeEndpoint",
        "sagemaker:ListEndpointConfigs",
        "sagemaker:ListModels",
        "sagemaker:ListPipelineExecutions",
        "sagemaker:StopPipelineExecution",
        "sqs:SendMessage",
    },
}
DELETE_DATA_AND_MODELS = {
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    "s3:ListBucketVersions",
    "sagemaker:DeleteModelPackage",
    "sagemaker:ListModelPackages",
}
INPUTS = {"datasets/*", "manifests/*", "code/*", "champions/*", "runs/*", "models/*", "checkpoints/*"}
REFUSAL = "pipelines/*.error.json"
WITHOUT_RESOURCE_TYPE = {
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListModels",
}


@pytest.mark.parametrize("role", ACTIONS)
def test_role_has_exactly_these_actions(prod: Any, role: str) -> None:
    assert actions(prod.statements(role)) == ACTIONS[role]


def test_there_are_no_other_roles_or_policies(prod: Any, local: Any) -> None:
    for stack in (prod, local):
        roles = {path for path, item in stack.resources.items() if item["Type"] == "AWS::IAM::Role"}
        policies = {path for path, item in stack.resources.items() if item["Type"] == "AWS::IAM::Policy"}
        assert roles == set(ACTIONS)
        assert policies == {f"{role}/DefaultPolicy" for role in roles}
        assert not any("ManagedPolicyArns" in stack.properties(role) for role in roles)


def test_only_where_data_goes_with_the_stack_can_data_and_models_be_deleted(prod: Any, local: Any) -> None:
    more = actions(local.statements("Source/Deployment/Role")) - actions(prod.statements("Source/Deployment/Role"))
    assert more == DELETE_DATA_AND_MODELS


def test_no_action_is_a_wildcard_and_every_star_is_unavoidable(local: Any) -> None:
    for role in ACTIONS:
        for statement in local.statements(role):
            assert not any("*" in action for action in listed(statement["Action"]))
            if "*" in listed(statement["Resource"]):
                assert set(listed(statement["Action"])) <= WITHOUT_RESOURCE_TYPE


@pytest.mark.parametrize(
    ("role", "passed"),
    [
        ("StartPipeline/Role", "PipelineRole/Role"),
        ("PipelineRole/Role", "JobRole/Role"),
        ("DeployModel/Role", "EndpointRole/Role"),
    ],
)
def test_roles_are_passed_to_sagemaker_only(prod: Any, role: str, passed: str) -> None:
    """iam:PassRole is enforced nowhere in the local cloud."""
    statements = [item for item in prod.statements(role) if "iam:PassRole" in listed(item["Action"])]
    assert statements == [
        {
            "Effect": "Allow",
            "Action": "iam:PassRole",
            "Resource": {"Fn::GetAtt": [prod.logical_id(passed), "Arn"]},
            "Condition": {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        }
    ]


@pytest.mark.parametrize(
    ("role", "sources"),
    [
        ("PipelineRole/Role", ["pipeline/headrace-prod", "pipeline/headrace-prod/*"]),
        ("JobRole/Role", ["processing-job/*", "training-job/*"]),
        ("EndpointRole/Role", ["*"]),
    ],
)
def test_sagemaker_assumes_a_role_for_our_own_resources_only(prod: Any, role: str, sources: list[str]) -> None:
    """The confused deputy: SageMaker works for every account. Hosting takes no narrower form (SageMaker's guide)."""
    (statement,) = prod.properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "222222222222"}
    given = json.dumps(statement["Condition"]["ArnLike"]["aws:SourceArn"])
    for source in sources:
        assert f":sagemaker:eu-central-1:222222222222:{source}" in given


def test_functions_are_called_by_lambda_only(prod: Any) -> None:
    for role in (
        "StartPipeline/Role",
        "FindChampion/Role",
        "StoreModel/Role",
        "DeployModel/Role",
        "Notify/Role",
        "Source/Deployment/Role",
    ):
        (statement,) = prod.properties(role)["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "lambda.amazonaws.com"}


@pytest.mark.parametrize(
    ("role", "action", "prefixes"),
    [
        ("JobRole/Role", "s3:PutObject", {"runs/*", "checkpoints/*"}),
        ("JobRole/Role", "s3:DeleteObject", {"checkpoints/*"}),
        ("JobRole/Role", "s3:GetObject", INPUTS),
        ("EndpointRole/Role", "s3:GetObject", {"models/*"}),
        ("PipelineRole/Role", "s3:GetObject", {"runs/*", "models/*"}),
        ("FindChampion/Role", "s3:GetObject", {"runs/*"}),
        ("DeployModel/Role", "s3:GetObject", {"models/*"}),
        ("StoreModel/Role", "s3:GetObject", {"runs/*", "models/*"}),
        ("StoreModel/Role", "s3:PutObject", {"models/*"}),
        ("StoreModel/Role", "s3:DeleteObjectVersion", {"models/*"}),
        ("StartPipeline/Role", "s3:PutObject", {"manifests/*", "ledger/*", "quiet/*", "code/*/source.tar.gz", REFUSAL}),
        ("StartPipeline/Role", "s3:DeleteObject", {"quiet/*", REFUSAL}),
        ("Notify/Role", "s3:GetObject", {"notices/*", "runs/*"}),
        ("Notify/Role", "s3:PutObject", {"notices/*"}),
        ("Maintainer/Role", "s3:PutObject", {"datasets/*", "pipelines/*", "code/*"}),
        ("Approver/Role", "s3:GetObject", {"runs/*"}),
        ("Source/Deployment/Role", "s3:PutObject", {"code/*", "pipelines/headrace-prod.json", "champions/none/NONE"}),
    ],
)
def test_objects_are_reached_by_prefix(prod: Any, role: str, action: str, prefixes: set[str]) -> None:
    assert prefixes_of(prod, role, action) == prefixes


def prefixes_of(stack: Any, role: str, action: str) -> set[str]:
    """Of the data bucket."""
    bucket = json.dumps({"Fn::GetAtt": [stack.logical_id("Data/Bucket"), "Arn"]}) + "/"
    return {resource.removeprefix(bucket) for resource in on(stack.statements(role), action)}


def test_jobs_list_only_under_the_prefixes_they_read(prod: Any) -> None:
    for role in ("EndpointRole/Role", "FindChampion/Role", "StoreModel/Role"):
        (statement,) = [item for item in prod.statements(role) if item["Action"] == "s3:ListBucket"]
        assert statement["Condition"] == {"StringLike": {"s3:prefix": ["models/*"]}}
    (statement,) = [item for item in prod.statements("JobRole/Role") if item["Action"] == "s3:ListBucket"]
    assert "ledger/*" not in statement["Condition"]["StringLike"]["s3:prefix"]


def test_what_an_endpoint_executes_is_written_by_its_storer_alone(prod: Any) -> None:
    """No role that runs code of jobs writes where an endpoint reads, whatever its own policy says."""
    read = {it.rpartition("/")[0] for it in prefixes_of(prod, "EndpointRole/Role", "s3:GetObject")}
    assert read == {"models"}
    writers = {role for role in ACTIONS if {"models/*", "*"} & prefixes_of(prod, role, "s3:PutObject")}
    assert writers == {"StoreModel/Role"}
    bucket = {"Fn::GetAtt": [prod.logical_id("Data/Bucket"), "Arn"]}
    (denied,) = [
        statement
        for statement in prod.properties("Data/Bucket/Policy")["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny" and statement.get("Resource") == {"Fn::Join": ["", [bucket, "/models/*"]]}
    ]
    assert denied["Principal"] == {"AWS": "*"}
    roles = [prod.logical_id(role) for role in ("StoreModel/Role", "Source/Deployment/Role")]
    assert denied["Condition"] == {
        "ArnNotEquals": {"aws:PrincipalArn": [{"Fn::GetAtt": [role, "Arn"]} for role in roles]}
    }


def test_only_the_approver_decides_on_a_model(prod: Any) -> None:
    deciding = {role for role in ACTIONS if list(on(prod.statements(role), "sagemaker:UpdateModelPackage"))}
    assert deciding == {"Approver/Role"}
    (statement,) = [it for it in prod.statements("Approver/Role") if it["Action"] == "sagemaker:UpdateModelPackage"]
    assert statement["Condition"] == {"StringEquals": {"sagemaker:ModelApprovalStatus": ["Approved", "Rejected"]}}


@pytest.mark.parametrize(
    ("status", "registered"),
    [
        ("PendingManualApproval", ["PendingManualApproval"]),
        ("Approved", ["Approved", "PendingManualApproval"]),
    ],
)
def test_pipeline_registers_with_the_approval_status_of_its_environment(
    synthesized: Any, status: str, registered: list[str]
) -> None:
    stack = synthesized("prod", model_approval_status=status)
    creating = [it for it in stack.statements("PipelineRole/Role") if it["Action"] == "sagemaker:CreateModelPackage"]
    (statement,) = creating
    assert statement["Condition"] == {"StringEquals": {"sagemaker:ModelApprovalStatus": registered}}


def test_pipeline_starts_only_jobs_of_pipelines(prod: Any) -> None:
    for action in ("CreateTrainingJob", "CreateProcessingJob"):
        for resource in on(prod.statements("PipelineRole/Role"), f"sagemaker:{action}"):
            assert resource.endswith("-job/pipelines-*")


def test_notices_quote_only_logs_of_pipeline_jobs_and_go_to_one_topic(prod: Any) -> None:
    statements = prod.statements("Notify/Role")
    jobs = ("ProcessingJobs", "TrainingJobs")
    names = {resource.partition("/aws/sagemaker/")[2] for resource in on(statements, "logs:GetLogEvents")}
    assert names == {name for job in jobs for name in (job, f"{job}:log-stream:pipelines-*")}
    assert list(on(statements, "sns:Publish")) == [json.dumps({"Ref": prod.logical_id("Notices/Topic")})]


def test_images_are_pulled_from_the_repositories_in_use(prod: Any) -> None:
    given = set(on(prod.statements("JobRole/Role"), "ecr:BatchGetImage"))
    assert given == {"arn:aws:ecr:eu-central-1:763104351884:repository/pytorch"}
    given = set(on(prod.statements("EndpointRole/Role"), "ecr:BatchGetImage"))
    assert given == {"arn:aws:ecr:eu-central-1:763104351884:repository/pytorch-inference"}


def test_each_environment_grants_only_on_its_own_names(synthesized: Callable[[str], Any]) -> None:
    """Two environments may share an account."""
    for environment, other in (("dev", "prod"), ("prod", "dev")):
        text = json.dumps(synthesized(environment).content)
        assert f"headrace-{other}" not in text


def test_what_the_pipeline_asks_for_beyond_the_ordinary_is_granted(synthesized: Callable[..., Any], prod: Any) -> None:
    asked = synthesized("prod", tuning_jobs=2, pretrained="resnet50")
    more = actions(asked.statements("PipelineRole/Role")) - actions(prod.statements("PipelineRole/Role"))
    assert more == {f"sagemaker:{verb}HyperParameterTuningJob" for verb in ("Create", "Describe", "Stop")}
    trust = json.dumps(asked.properties("JobRole/Role")["AssumeRolePolicyDocument"])
    assert ":hyper-parameter-tuning-job/*" in trust
    assert any(resource.endswith("/pretrained/*") for resource in on(asked.statements("JobRole/Role"), "s3:GetObject"))
    assert not any("pretrained" in resource for resource in on(prod.statements("JobRole/Role"), "s3:GetObject"))
