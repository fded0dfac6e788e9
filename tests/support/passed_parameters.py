"""What our code and the documents' commands pass to AWS, by operation: read from the sources."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

ROOT = Path(__file__).parents[2]
OWN = ("sagemaker", "sagemaker-runtime")
ON_AWS_ONLY = (
    "account",  # regions: those of the local cloud are enabled
    "ecr",  # `headrace images` refuses the local cloud, which runs no container images
)
# What `**name` stands for where the sources do not say it; each entry is used.
STARRED = {
    "change": {"StackName", "ChangeSetName"},
    "narrowed": {"logStreamNamePrefix", "startTime", "endTime"},
    "condition": {"IfMatch", "IfNoneMatch"},
    "options": {"ChecksumAlgorithm", "ContentType"},
    "encryption": {"ServerSideEncryption", "SSEKMSKeyId"},
    "version": {"VersionId"},
}
# The calls of the AWS CLI's own commands (aws s3 cp, mv, rm, sync), as it makes them: awscli/customizations/s3.
S3_COMMANDS = {
    "s3.PutObject": {"Bucket", "Key", "Body", "ContentType", "ChecksumAlgorithm"},
    "s3.CopyObject": {"Bucket", "Key", "CopySource", "ChecksumAlgorithm", "MetadataDirective"},
    "s3.GetObject": {"Bucket", "Key", "ChecksumMode"},
    "s3.HeadObject": {"Bucket", "Key", "ChecksumMode"},
    "s3.DeleteObject": {"Bucket", "Key"},
    "s3.ListObjectsV2": {"Bucket", "Prefix"},
    "s3.CreateMultipartUpload": {"Bucket", "Key", "ChecksumAlgorithm", "ContentType"},
    "s3.UploadPart": {"Bucket", "Key", "UploadId", "PartNumber", "Body", "ChecksumAlgorithm"},
    "s3.CompleteMultipartUpload": {"Bucket", "Key", "UploadId", "MultipartUpload"},
    "s3.AbortMultipartUpload": {"Bucket", "Key", "UploadId"},
}
# What the local cloud's SageMaker asks of the other services, as a job's or a pipeline's role.
SAGEMAKERS_OWN = {
    "s3.PutObject": {"Bucket", "Key", "Body", "ServerSideEncryption", "SSEKMSKeyId"},
    "s3.GetObject": {"Bucket", "Key", "VersionId"},
    "logs.CreateLogGroup": {"logGroupName"},
    "logs.CreateLogStream": {"logGroupName", "logStreamName"},
    "logs.PutLogEvents": {"logGroupName", "logStreamName", "logEvents"},
    "cloudwatch.PutMetricData": {"Namespace", "MetricData"},
    "lambda.Invoke": {"FunctionName", "Payload"},
    "ec2.DescribeSubnets": {"SubnetIds"},
    "ec2.DescribeSecurityGroups": {"GroupIds"},
    "ec2.CreateNetworkInterface": {"SubnetId", "Groups", "Description"},
    "ec2.DeleteNetworkInterface": {"NetworkInterfaceId"},
    "cloudformation.CreateStack": {"StackName", "TemplateURL", "Parameters", "Capabilities", "RoleARN", "Tags"},
    "cloudformation.UpdateStack": {"StackName", "TemplateURL", "Parameters", "Capabilities"},
    "cloudformation.GetTemplateSummary": {"TemplateURL"},
}
OTHER_NAMES = {"notification-endpoint": "Endpoint"}  # of the CLI's options, where they are not the parameter's own
NO_CALLS = {"configure", "sso", "s3"}  # the CLI's own; s3 is above


@cache
def operation_names(service: str) -> dict[str, str]:
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): name for name in model.operation_names}


@cache
def passed() -> dict[str, set[str]]:
    """By `<service>.<Operation>`; without SageMaker, whose every parameter is tried."""
    found: dict[str, set[str]] = {name: set(parameters) for name, parameters in S3_COMMANDS.items()}
    for operation, parameters in SAGEMAKERS_OWN.items():
        found.setdefault(operation, set()).update(parameters)
    for service, method, keywords in [*_calls(), *_commands()]:
        if service in OWN + ON_AWS_ONLY:
            continue
        found.setdefault(f"{service}.{operation_names(service)[method]}", set()).update(keywords)
    return found


@cache
def passed_to_sagemaker() -> dict[str, set[str]]:
    """The outermost parameters of our own calls of SageMaker."""
    found: dict[str, set[str]] = {}
    for service, method, keywords in [*_calls(), *_commands()]:
        if service == "sagemaker":
            found.setdefault(operation_names(service)[method], set()).update(keywords)
    return found


@cache
def _calls() -> list[tuple[str, str, set[str]]]:
    from aws_calls import uses, waiters  # the check of all calls has a parser for them

    calls = []
    for folder in ("lambda", "headrace"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for use in uses(path.read_text()):
                method = use.method.removeprefix("pages of ")
                if method.startswith("waiter "):
                    method = waiters(use.service)[method.removeprefix("waiter ")]
                keywords: set[str] = set()
                for keyword in use.call.keywords if use.call else ():
                    if keyword.arg is None:
                        name = keyword.value.id if isinstance(keyword.value, ast.Name) else ast.unparse(keyword.value)
                        keywords |= STARRED.get(name, set()) if use.service not in OWN else set()
                    elif keyword.arg not in ("PaginationConfig", "WaiterConfig"):
                        keywords.add(keyword.arg)
                calls.append((use.service, method, keywords))
    return calls


@cache
def _commands() -> list[tuple[str, str, set[str]]]:
    """`aws sns subscribe --topic-arn …` in the documents and the messages of the sources."""
    sources = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    sources += [path for folder in ("lambda", "headrace") for path in sorted((ROOT / folder).rglob("*.py"))]
    commands = []
    known = botocore.session.get_session().get_available_services()
    for path in sources:
        text = re.sub(r"\\\n\s*", " ", path.read_text())
        for service, command, rest in re.findall(r"\baws ([a-z0-9-]+) ([a-z][a-z0-9-]+)([^`\n]*)", text):
            if service in NO_CALLS or service not in known:
                continue
            operation = operation_names(service).get(command.replace("-", "_"))
            if operation is None:
                continue
            model = botocore.session.get_session().get_service_model(service).operation_model(operation)
            options = set(re.findall(r"--([a-z0-9-]+)", rest))
            members = model.input_shape.members if model.input_shape else {}
            names = {name for name in members if xform_name(name, "-") in options}
            names |= {OTHER_NAMES[option] for option in options if option in OTHER_NAMES}
            commands.append((service, command.replace("-", "_"), names))
    return commands
