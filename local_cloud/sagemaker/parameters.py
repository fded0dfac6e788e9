"""Every parameter that the service takes, and what becomes of it here; all others are refused by name.

A parameter that is taken and not acted upon makes a rehearsal that says nothing about AWS. So each is in one of two
tables: in `EFFECTIVE` it has its effect here, in `KEPT` it is kept and described, because one machine has nothing that
it could change. `refuse` raises for whatever is in neither. docs/parameters.md is written from these tables, and
tests/parameters tries each line.

A line is `Member.Member=value|value`: without a value, any value; a structure that is named whole, with all below it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from botocore.model import ListShape, MapShape, Shape, StructureShape

from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.shapes import request_shape, service_model
from pipeline_language.members import shown
from pipeline_language.references import is_reference

_CREATED = "CreationTimeAfter CreationTimeBefore"
_MODIFIED = "LastModifiedTimeAfter LastModifiedTimeBefore"
_PAGE = "MaxResults NextToken"
_SORTED = f"SortBy SortOrder {_PAGE}"
_CHANNEL = "ChannelName ContentType InputMode=File|FastFile|Pipe CompressionType=None RecordWrapperType=None"
_S3_SOURCE = "S3DataType=S3Prefix|ManifestFile S3Uri S3DataDistributionType"
_S3_INPUT = (
    "S3Uri LocalPath S3DataType=S3Prefix|ManifestFile S3InputMode=File S3DataDistributionType S3CompressionType=None"
)
_CONTAINER = "Image ModelDataUrl Environment ModelPackageName Mode=SingleModel"
_RECORD = "the registry is a record: what is put into it is what it gives"
_DESCRIBED = (
    "Containers.Framework Containers.FrameworkVersion Containers.NearestModelName SupportedTransformInstanceTypes "
    "SupportedRealtimeInferenceInstanceTypes SupportedContentTypes SupportedResponseMIMETypes"
)


def _under(path: str, members: str) -> str:
    return " ".join(f"{path}.{member}" for member in members.split())


EFFECTIVE: dict[str, str] = {
    # Pipelines and their executions
    "CreatePipeline": "PipelineName PipelineDisplayName PipelineDescription PipelineDefinition RoleArn Tags "
    "ClientRequestToken ParallelismConfiguration PipelineDefinitionS3Location",
    "UpdatePipeline": "PipelineName PipelineDisplayName PipelineDescription PipelineDefinition RoleArn "
    "ParallelismConfiguration PipelineDefinitionS3Location",
    "DescribePipeline": "PipelineName",
    "DeletePipeline": "PipelineName",
    "ListPipelines": f"PipelineNamePrefix CreatedAfter CreatedBefore {_SORTED}",
    "StartPipelineExecution": "PipelineName PipelineExecutionDisplayName PipelineParameters "
    "PipelineExecutionDescription ClientRequestToken ParallelismConfiguration",
    "StopPipelineExecution": "PipelineExecutionArn",
    "DescribePipelineExecution": "PipelineExecutionArn",
    "DescribePipelineDefinitionForExecution": "PipelineExecutionArn",
    "ListPipelineExecutions": f"PipelineName CreatedAfter CreatedBefore {_SORTED}",
    "ListPipelineExecutionSteps": f"PipelineExecutionArn SortOrder {_PAGE}",
    "ListPipelineParametersForExecution": f"PipelineExecutionArn {_PAGE}",
    # Jobs
    "CreateTrainingJob": "TrainingJobName HyperParameters RoleArn VpcConfig StoppingCondition.MaxRuntimeInSeconds "
    "StoppingCondition.MaxWaitTimeInSeconds Tags EnableNetworkIsolation EnableManagedSpotTraining CheckpointConfig "
    "Environment OutputDataConfig.S3OutputPath OutputDataConfig.KmsKeyId OutputDataConfig.CompressionType=GZIP "
    "ResourceConfig.InstanceType ResourceConfig.InstanceCount ProfilerConfig.DisableProfiler=True "
    + _under(
        "AlgorithmSpecification",
        "TrainingImage TrainingInputMode=File|FastFile|Pipe ContainerEntrypoint ContainerArguments MetricDefinitions",
    )
    + " "
    + _under("InputDataConfig", f"{_CHANNEL} {_under('DataSource.S3DataSource', _S3_SOURCE)}"),
    "DescribeTrainingJob": "TrainingJobName",
    "StopTrainingJob": "TrainingJobName",
    "ListTrainingJobs": f"NameContains StatusEquals {_CREATED} {_MODIFIED} {_SORTED}",
    "CreateProcessingJob": "ProcessingJobName RoleArn Tags Environment StoppingCondition.MaxRuntimeInSeconds "
    "AppSpecification.ImageUri AppSpecification.ContainerEntrypoint AppSpecification.ContainerArguments "
    "ProcessingResources.ClusterConfig.InstanceCount ProcessingResources.ClusterConfig.InstanceType "
    "NetworkConfig.EnableNetworkIsolation NetworkConfig.VpcConfig ProcessingOutputConfig.KmsKeyId "
    + _under("ProcessingInputs", f"InputName AppManaged=False {_under('S3Input', _S3_INPUT)}")
    + " "
    + _under(
        "ProcessingOutputConfig.Outputs",
        "OutputName AppManaged=False S3Output.S3Uri S3Output.LocalPath S3Output.S3UploadMode=EndOfJob",
    ),
    "DescribeProcessingJob": "ProcessingJobName",
    "StopProcessingJob": "ProcessingJobName",
    "ListProcessingJobs": f"NameContains StatusEquals {_CREATED} {_MODIFIED} {_SORTED}",
    # The model registry
    "CreateModelPackageGroup": "ModelPackageGroupName Tags",
    "DescribeModelPackageGroup": "ModelPackageGroupName",
    "DeleteModelPackageGroup": "ModelPackageGroupName",
    "ListModelPackageGroups": f"NameContains CrossAccountFilterOption=SameAccount {_CREATED} {_SORTED}",
    "PutModelPackageGroupPolicy": "ModelPackageGroupName ResourcePolicy",
    "GetModelPackageGroupPolicy": "ModelPackageGroupName",
    "DeleteModelPackageGroupPolicy": "ModelPackageGroupName",
    "CreateModelPackage": "ModelPackageGroupName ModelApprovalStatus ClientToken SkipModelValidation=None "
    "CertifyForMarketplace=False " + _under("InferenceSpecification.Containers", "Image ModelDataUrl Environment"),
    "DescribeModelPackage": "ModelPackageName",
    "UpdateModelPackage": "ModelPackageArn ModelApprovalStatus ApprovalDescription CustomerMetadataProperties "
    "CustomerMetadataPropertiesToRemove SourceUri ModelLifeCycle "
    + _under("InferenceSpecification.Containers", "Image ModelDataUrl Environment"),
    "DeleteModelPackage": "ModelPackageName",
    "ListModelPackages": "NameContains ModelApprovalStatus ModelPackageGroupName ModelPackageType "
    f"{_CREATED} {_SORTED}",
    # Models and endpoints
    "CreateModel": "ModelName ExecutionRoleArn Tags VpcConfig "
    + f"{_under('PrimaryContainer', _CONTAINER)} {_under('Containers', _CONTAINER)}",
    "DescribeModel": "ModelName",
    "DeleteModel": "ModelName",
    "ListModels": f"NameContains {_CREATED} {_SORTED}",
    "CreateEndpointConfig": "EndpointConfigName Tags ProductionVariants.VariantName ProductionVariants.ModelName",
    "DescribeEndpointConfig": "EndpointConfigName",
    "DeleteEndpointConfig": "EndpointConfigName",
    "ListEndpointConfigs": f"NameContains {_CREATED} {_SORTED}",
    "CreateEndpoint": "EndpointName EndpointConfigName Tags",
    "UpdateEndpoint": "EndpointName EndpointConfigName RetainAllVariantProperties=False RetainDeploymentConfig=False",
    "DescribeEndpoint": "EndpointName",
    "DeleteEndpoint": "EndpointName",
    "ListEndpoints": f"NameContains StatusEquals {_CREATED} {_MODIFIED} {_SORTED}",
    # Projects and tags
    "CreateProject": "ProjectName ProjectDescription Tags TemplateProviders",
    "DescribeProject": "ProjectName",
    "UpdateProject": "ProjectName ProjectDescription TemplateProvidersToUpdate",
    "DeleteProject": "ProjectName",
    "ListProjects": f"NameContains {_CREATED} {_SORTED}",
    "AddTags": "ResourceArn Tags",
    "ListTags": f"ResourceArn {_PAGE}",
    "DeleteTags": "ResourceArn TagKeys",
}

INVOKE_ENDPOINT = ("EndpointName", "Body", "ContentType", "Accept")  # a REST call: its parameters are headers

_ONE_MACHINE = "the machine's own disk and memory are used, whatever it says"
_LOOPBACK = "all traffic between hosts stays on this machine"
_REPEATED = "repeated, the call changes nothing anyway"
_ONE_PROCESS = "an endpoint is one process"

KEPT: dict[str, dict[str, str]] = {
    "DeletePipeline": {"ClientRequestToken": _REPEATED},
    "StopPipelineExecution": {"ClientRequestToken": _REPEATED},
    "CreateTrainingJob": {
        "ResourceConfig.VolumeSizeInGB": _ONE_MACHINE,
        "ResourceConfig.VolumeKmsKeyId": _ONE_MACHINE,
        "ResourceConfig.KeepAlivePeriodInSeconds": "there are no instances that could be kept",
        "EnableInterContainerTrafficEncryption": _LOOPBACK,
        "DebugHookConfig.S3OutputPath": "no image here has the debugger's library, which writes there",
    },
    "CreateProcessingJob": {
        "ProcessingResources.ClusterConfig.VolumeSizeInGB": _ONE_MACHINE,
        "ProcessingResources.ClusterConfig.VolumeKmsKeyId": _ONE_MACHINE,
        "NetworkConfig.EnableInterContainerTrafficEncryption": _LOOPBACK,
    },
    "CreateModelPackageGroup": {"ModelPackageGroupDescription": _RECORD},
    "CreateModelPackage": {
        "ModelPackageDescription": _RECORD,
        "MetadataProperties": _RECORD,
        "ModelMetrics": _RECORD,
        "CustomerMetadataProperties": _RECORD,
        "DriftCheckBaselines": _RECORD,
        "Domain": _RECORD,
        "Task": _RECORD,
        "SamplePayloadUrl": _RECORD,
        "SourceUri": _RECORD,
        "ModelLifeCycle": _RECORD,
        **dict.fromkeys(_under("InferenceSpecification", _DESCRIBED).split(), _RECORD),
    },
    "UpdateModelPackage": {
        "ClientToken": _REPEATED,
        **dict.fromkeys(_under("InferenceSpecification", _DESCRIBED).split(), _RECORD),
    },
    "CreateModel": {"EnableNetworkIsolation": "the endpoint is asked over the machine's loopback"},
    "CreateEndpointConfig": {
        "ProductionVariants.InstanceType": _ONE_PROCESS,
        "ProductionVariants.InitialInstanceCount": _ONE_PROCESS,
        "ProductionVariants.InitialVariantWeight": "the only variant gets all requests",
        "KmsKeyId": _ONE_MACHINE,
    },
}


_STAND_INS: dict[str, Any] = {
    "integer": 1, "long": 1, "float": 1.0, "double": 1.0, "boolean": False, "list": [], "map": {}, "structure": {},
}  # fmt: skip


def lines(operation: str) -> dict[str, tuple[str, ...]]:
    """The parameters that are taken, by path, with the values that are taken; none given: all."""
    taken: dict[str, tuple[str, ...]] = dict.fromkeys(KEPT.get(operation, {}), ())
    for line in EFFECTIVE[operation].split():
        path, equals, values = line.partition("=")
        taken[path] = tuple(values.split("|")) if equals else ()
    return taken


def refuse(operation: str, request: dict[str, Any]) -> None:
    """Raises ValidationException for the first parameter of the request that has no line, or a value that has none."""
    for path, problem in unserved(operation, request):
        raise ValidationException(f"{operation}: {problem}. hint: leave {path} out, or try this on AWS")


class Unserved(NamedTuple):
    path: str
    problem: str


def unserved(operation: str, request: Mapping[str, Any]) -> Iterator[Unserved]:
    """Each parameter of the request that has no line, or a value that has none; references have no value yet."""
    if operation in EFFECTIVE:
        yield from _unserved(request, request_shape(operation), "", lines(operation))


def stand_in(value: Any, shape: Shape) -> Any:
    """The value with something of its type in the place of each reference, for who looks at other parts of it."""
    if is_reference(value):
        return _STAND_INS.get(shape.type_name, "unknown")
    if isinstance(value, list) and isinstance(shape, ListShape):
        return [stand_in(item, shape.member) for item in value]
    if isinstance(value, Mapping) and isinstance(shape, MapShape):
        return {name: stand_in(item, shape.value) for name, item in value.items()}
    if isinstance(value, Mapping) and isinstance(shape, StructureShape):
        return {name: stand_in(item, shape.members[name]) for name, item in value.items()}
    return value


def refuse_headers(headers: dict[str, str]) -> None:
    """The same for InvokeEndpoint."""
    shape = service_model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape
    for name, member in shape.members.items():
        header = str(member.serialization.get("name", "")).lower()
        if member.serialization.get("location") == "header" and header in headers and name not in INVOKE_ENDPOINT:
            problem = _not_served(name)
            raise ValidationException(f"InvokeEndpoint: {problem}. hint: leave {name} out, or try this on AWS")


def _not_served(path: str) -> str:
    return f"the local cloud does not serve {path}, and does not take what it would leave undone"


def _unserved(value: Any, shape: Shape, path: str, taken: dict[str, tuple[str, ...]]) -> Iterator[Unserved]:
    partly = not path or any(known.startswith(f"{path}.") for known in taken)
    if is_reference(value) and (partly or path in taken):
        return
    if isinstance(shape, ListShape) and isinstance(value, list):
        for item in value:
            yield from _unserved(item, shape.member, path, taken)
    elif path in taken:
        if taken[path] and str(value) not in taken[path]:
            only = " or ".join(taken[path])
            yield Unserved(path, f"the local cloud serves {path} only as {only}, not {shown(value)}")
    elif isinstance(shape, StructureShape) and partly:
        for name, item in value.items():
            yield from _unserved(item, shape.members[name], f"{path}.{name}".removeprefix("."), taken)
    else:
        yield Unserved(path, _not_served(path))
