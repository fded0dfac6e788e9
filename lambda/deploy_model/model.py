"""The champion as a SageMaker model, and its endpoint configuration with the instances.

Both names derive from the content, so a second creation has no effect. A version's number alone is not enough: the
registry of another environment can be deleted and created again, and number its versions from 1 while this one serves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from deploy_model.environment import Environment
from shared.aws import says
from shared.champion import Champion
from shared.hashing import digest

if TYPE_CHECKING:
    from mypy_boto3_sagemaker import SageMakerClient
    from mypy_boto3_sagemaker.type_defs import ProductionVariantTypeDef, TagTypeDef


def ensure_configuration(sagemaker: SageMakerClient, environment: Environment, champion: Champion) -> str:
    """Create the champion's model and endpoint configuration if they are missing. Returns the configuration's name."""
    network = _network(environment)
    variant = _variant(environment, champion)
    model_name, name = variant["ModelName"], configuration_name(environment, champion)
    tags = tag_list(environment)
    try:
        sagemaker.create_model(
            ModelName=model_name,
            ExecutionRoleArn=environment.endpoint_role_arn,
            PrimaryContainer={"ModelPackageName": champion.model_package_arn},
            Tags=tags,
            **network,
        )
    except ClientError as error:
        if not says(error, "already existing"):
            raise
    try:
        sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=tags)
    except ClientError as error:
        if not says(error, "already existing"):
            raise
    return name


def configuration_name(environment: Environment, champion: Champion) -> str:
    return f"{_version_name(environment, champion)}-{digest(_variant(environment, champion))[:8]}"


def _variant(environment: Environment, champion: Champion) -> ProductionVariantTypeDef:
    made_of = [champion.model_package_arn, champion.registered, _network(environment)]
    return {
        "VariantName": "AllTraffic",
        "ModelName": f"{_version_name(environment, champion)}-{digest(made_of)[:8]}",
        "InstanceType": environment.instance_type,  # type: ignore[typeddict-item]  # any text; SageMaker checks it
        "InitialInstanceCount": environment.instance_count,
        "InitialVariantWeight": 1.0,
    }


def _version_name(environment: Environment, champion: Champion) -> str:
    return f"{environment.endpoint_name}-v{champion.version}"


def _network(environment: Environment) -> dict[str, Any]:
    """The model's network. A model's network cannot be changed, so another network makes another model."""
    if environment.vpc_config is None:
        return {}
    return {"VpcConfig": environment.vpc_config, "EnableNetworkIsolation": True}


def tag_list(environment: Environment) -> list[TagTypeDef]:
    return [{"Key": key, "Value": value} for key, value in environment.tags.items()]
