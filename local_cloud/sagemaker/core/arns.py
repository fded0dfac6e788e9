"""ARNs of SageMaker resources, and which resource a request is about for IAM.

Source: the service authorization reference for Amazon SageMaker (resource types and the actions that name them).
"""

from typing import Any

from local_cloud.sagemaker.core.store import Scope

# Action -> (resource type, the request's member that names it). A member that already holds an ARN is taken as it is.
_RESOURCES: dict[str, tuple[str, str]] = {
    **{f"{verb}Pipeline": ("pipeline", "PipelineName") for verb in ("Create", "Update", "Delete", "Describe")},
    "StartPipelineExecution": ("pipeline", "PipelineName"),
    "ListPipelineExecutions": ("pipeline", "PipelineName"),
    "DescribePipelineExecution": ("pipeline-execution", "PipelineExecutionArn"),
    "ListPipelineExecutionSteps": ("pipeline-execution", "PipelineExecutionArn"),
    "StopPipelineExecution": ("pipeline-execution", "PipelineExecutionArn"),
    "ListPipelineParametersForExecution": ("pipeline-execution", "PipelineExecutionArn"),
    "DescribePipelineDefinitionForExecution": ("pipeline-execution", "PipelineExecutionArn"),
    **{f"{verb}TrainingJob": ("training-job", "TrainingJobName") for verb in ("Create", "Describe", "Stop")},
    **{f"{verb}ProcessingJob": ("processing-job", "ProcessingJobName") for verb in ("Create", "Describe", "Stop")},
    **{f"{verb}Model": ("model", "ModelName") for verb in ("Create", "Describe", "Delete")},
    **{f"{verb}EndpointConfig": ("endpoint-config", "EndpointConfigName") for verb in ("Create", "Describe", "Delete")},
    **{
        f"{verb}Endpoint": ("endpoint", "EndpointName") for verb in ("Create", "Describe", "Update", "Delete", "Invoke")
    },
    **{
        f"{verb}ModelPackageGroup": ("model-package-group", "ModelPackageGroupName")
        for verb in ("Create", "Describe", "Delete")
    },
    **{
        f"{verb}ModelPackageGroupPolicy": ("model-package-group", "ModelPackageGroupName")
        for verb in ("Put", "Get", "Delete")
    },
    **{f"{verb}ModelPackage": ("model-package", "ModelPackageName") for verb in ("Describe", "Delete")},
    **{f"{verb}Project": ("project", "ProjectName") for verb in ("Create", "Describe", "Update", "Delete")},
    "UpdateModelPackage": ("model-package", "ModelPackageArn"),
    "AddTags": ("", "ResourceArn"),
    "ListTags": ("", "ResourceArn"),
    "DeleteTags": ("", "ResourceArn"),
}


def arn(scope: Scope, resource_type: str, name: str) -> str:
    return f"arn:aws:sagemaker:{scope.region}:{scope.account}:{resource_type}/{name}"


def name_of(name_or_arn: str) -> str:
    """The resource's name, given its name or its ARN (``…:model-package/group/3`` gives ``group/3``)."""
    return name_or_arn.split("/", 1)[1] if name_or_arn.startswith("arn:") else name_or_arn


def scope_of(name_or_arn: str, otherwise: Scope) -> Scope:
    """The account and region that an ARN names; those given for a name alone."""
    if not name_or_arn.startswith("arn:"):
        return otherwise
    _, _, _, region, account, _ = name_or_arn.split(":", 5)
    return Scope(account, region)


def versions_of(group: str, otherwise: Scope) -> str:
    """The ARN that stands for all versions of a group, given its name or its ARN."""
    return arn(scope_of(group, otherwise), "model-package", f"{name_of(group)}/*")


def resource_of(action: str, request: dict[str, Any], scope: Scope) -> str:
    """The ARN that IAM checks ``action`` on; ``*`` for actions without a resource type, such as the List calls."""
    if action in ("CreateModelPackage", "ListModelPackages"):
        group = request.get("ModelPackageGroupName")
        if group:
            return versions_of(str(group), scope)
        return arn(scope, "model-package", str(request.get("ModelPackageName", "*")))
    if action not in _RESOURCES:
        return "*"
    resource_type, member = _RESOURCES[action]
    named = str(request.get(member, "*"))
    return named if named.startswith("arn:") else arn(scope, resource_type, named)
