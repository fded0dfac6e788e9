"""``AWS::SageMaker::ModelPackageGroup``; CloudFormation acts with the permissions of the deployer."""

import json
from typing import Any

from ministack.core import responses
from ministack.services.cloudformation import provisioners

from local_cloud.sagemaker.api import SageMaker
from local_cloud.sagemaker.core import arns
from local_cloud.sagemaker.core.cloud import Call
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.store import Scope
from local_cloud.sagemaker.registry import group_policy


def install(sagemaker: SageMaker) -> None:
    provisioners._RESOURCE_HANDLERS["AWS::SageMaker::ModelPackageGroup"] = _model_package_group(sagemaker)


def _model_package_group(sagemaker: SageMaker) -> dict[str, Any]:
    context = sagemaker.context

    def call() -> Call:
        scope = Scope(responses.get_account_id(), responses.get_region())
        return Call(scope, lambda action, resource: None)

    def attributes(name: str) -> dict[str, Any]:
        group = context.store.get(call().scope, DocumentKind.MODEL_PACKAGE_GROUP, name) or {}
        return {"ModelPackageGroupArn": group.get("ModelPackageGroupArn"), "ModelPackageGroupStatus": "Completed"}

    def set_policy(name: str, properties: dict[str, Any]) -> None:
        policy = properties.get("ModelPackageGroupPolicy")
        if policy:
            text = policy if isinstance(policy, str) else json.dumps(policy)
            group_policy.put(context, call().scope, name, text)
        else:
            group_policy.forget(context, call().scope, name)

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        answer = sagemaker.operations["CreateModelPackageGroup"](call(), properties)
        name = properties["ModelPackageGroupName"]
        set_policy(name, properties)
        return answer["ModelPackageGroupArn"], attributes(name)

    def update(arn: str, old: dict[str, Any], new: dict[str, Any], stack_name: str) -> tuple[str, dict[str, Any]]:
        if old["ModelPackageGroupName"] != new["ModelPackageGroupName"]:
            delete(arn, old)
            return create("", new, stack_name)
        set_policy(new["ModelPackageGroupName"], new)
        return arn, attributes(new["ModelPackageGroupName"])

    def delete(arn: str, properties: dict[str, Any]) -> None:
        try:
            sagemaker.operations["DeleteModelPackageGroup"](call(), {"ModelPackageGroupName": arns.name_of(arn)})
        except ServiceError as error:
            raise ValueError(str(error)) from error

    def adopt(identifier: dict[str, str]) -> tuple[str, dict[str, Any]]:
        arn = identifier["ModelPackageGroupArn"]
        found = attributes(arns.name_of(arn))
        if found["ModelPackageGroupArn"] != arn:
            raise ValueError(
                f"Resource of type 'AWS::SageMaker::ModelPackageGroup' with identifier '{arn}' was not found."
            )
        return arn, found

    return {"create": create, "update": update, "delete": delete, "import": adopt}
