"""What AWS says of an account: quotas, cost allocation tags, Lambda's concurrency, regions, zones, images, e-mails.

ministack has no Service Quotas and no Cost Explorer, and every account of it is alike. What the accounts are like, says
`local_cloud.sagemaker.core.account`.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from ministack import app
from ministack.core import iam_actions, responses, router
from ministack.services import ec2, ecr, lambda_svc, sns

from local_cloud.sagemaker.core import quotas
from local_cloud.sagemaker.core.account import Account
from local_cloud.sagemaker.core.context import Context
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ServiceError
from local_cloud.sagemaker.core.store import Scope

JSON = "application/x-amz-json-1.1"
MAX_PAGE = 100  # quotas in one answer
AWS_REPOSITORIES = ("pytorch", "pytorch-inference")  # of those that AWS's registries have
VPCS = "VPCs per Region"
# Service Quotas' code of the only quota of vpc here: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
_CODES = {VPCS: "L-F678F1CE"}
_ZONE_NAME = re.compile("(?<=<zoneName>)[^<]*")
_OPTED = re.compile("(?<=<optInStatus>)[^<]*")

Request = dict[str, Any]
Handler = Callable[[Context, Request], dict[str, Any]]


class _Refused(Exception):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def install(context: Context) -> None:
    _serve(context, "servicequotas", "ServiceQuotasV20190624.", {"ListServiceQuotas": _list_quotas})
    tags = {"ListCostAllocationTags": _list_cost_tags, "UpdateCostAllocationTagsStatus": _update_cost_tags}
    _serve(context, "ce", "AWSInsightsIndexService.", tags)
    lambda_svc._get_account_settings = _with_concurrency(lambda_svc._get_account_settings, context)
    for action, change in (("DescribeAvailabilityZones", _with_zone_ids), ("DescribeRegions", _with_opt_in)):
        ec2._ACTION_MAP[action] = change(ec2._ACTION_MAP[action], context)
    ec2._ACTION_MAP["DescribeInstanceTypeOfferings"] = _offerings(context)
    sns._list_subscriptions_by_topic = _with_unconfirmed(sns._list_subscriptions_by_topic, context)
    ecr._batch_get_image = _with_awss_images(ecr._batch_get_image, context)


def _serve(context: Context, name: str, prefix: str, operations: Mapping[str, Handler]) -> None:
    """A service of the JSON protocol, whose requests are signed for ``name``."""

    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Any:
        operation = headers.get("x-amz-target", "").partition(".")[2]
        try:
            handler = operations.get(operation)
            if handler is None:
                served = ", ".join(sorted(operations))
                raise _Refused("UnknownOperationException", f"The local cloud serves {served} of {name}.")
            return responses.json_response(handler(context, json.loads(body or b"{}")), content_type=JSON)
        except _Refused as refused:
            return responses.error_response_json(refused.code, str(refused), content_type=JSON)
        except ServiceError as error:
            return responses.error_response_json(error.code, str(error), error.status, content_type=JSON)

    app.SERVICE_REGISTRY[name] = {"module": name}
    app.SERVICE_HANDLERS[name] = handle
    router.SERVICE_PATTERNS[name] = {
        "target_prefixes": [prefix],
        "credential_scope": name,
        "host_patterns": [rf"{name}\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[name] = name


def _only(request: Request, *members: str) -> None:
    unknown = sorted(set(request) - set(members))
    if unknown:
        raise _Refused("ValidationException", f"The local cloud does not serve {unknown[0]}. hint: leave it out")


def _list_quotas(context: Context, request: Request) -> dict[str, Any]:
    _only(request, "ServiceCode", "MaxResults", "NextToken")
    account, code = context.account.read(), request.get("ServiceCode")
    names = {"sagemaker": quotas.names(), "vpc": (VPCS,)}.get(str(code))
    if names is None:
        raise _Refused("NoSuchResourceException", f"The local cloud has quotas of sagemaker and vpc, not of {code}.")
    start, size = int(request.get("NextToken", 0)), int(request.get("MaxResults", MAX_PAGE))
    shown = names[start : start + min(size, MAX_PAGE)]
    more = {"NextToken": str(start + len(shown))} if start + len(shown) < len(names) else {}
    return {"Quotas": [_quota(account, str(code), name) for name in shown]} | more


def _quota(account: Account, service: str, name: str) -> dict[str, Any]:
    code = _CODES.get(name) or quotas.code(name)
    place = f"{responses.get_region()}:{responses.get_account_id()}"
    return {
        "ServiceCode": service,
        "QuotaArn": f"arn:aws:servicequotas:{place}:{service}/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Value": account.quota(service, name),
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }


def _list_cost_tags(context: Context, request: Request) -> dict[str, Any]:
    """Each tag that is asked for: here there is no bill in which one would first have to be seen."""
    _only(request, "TagKeys")
    return {
        "CostAllocationTags": [
            {"TagKey": key, "Type": "UserDefined", "Status": _status(context, key)}
            for key in request.get("TagKeys", [])
        ]
    }


def _update_cost_tags(context: Context, request: Request) -> dict[str, Any]:
    _only(request, "CostAllocationTagsStatus")
    for item in request["CostAllocationTagsStatus"]:
        context.store.put(_everywhere(), DocumentKind.COST_TAG, item["TagKey"], {"Status": item["Status"]})
    return {"Errors": []}


def _status(context: Context, key: str) -> str:
    chosen = context.store.get(_everywhere(), DocumentKind.COST_TAG, key)
    if chosen is not None:
        return str(chosen["Status"])
    return "Inactive" if key in context.account.read().inactive_cost_tags else "Active"


def _everywhere() -> Scope:
    """Billing has no regions."""
    return Scope(responses.get_account_id(), "us-east-1")


def _with_concurrency(original: Callable[[], Any], context: Context) -> Callable[[], Any]:
    def settings() -> Any:
        status, headers, body = original()
        document = json.loads(body)
        limit = document["AccountLimit"]
        reserved = limit["ConcurrentExecutions"] - limit["UnreservedConcurrentExecutions"]
        limit["ConcurrentExecutions"] = context.account.read().lambda_concurrency
        limit["UnreservedConcurrentExecutions"] = max(0, limit["ConcurrentExecutions"] - reserved)
        return status, headers, json.dumps(document).encode()

    return settings


def _with_zone_ids(original: Callable[[Any], Any], context: Context) -> Callable[[Any], Any]:
    """AWS shuffles the letters for each account: any of them may be the zone with the id use1-az3."""

    def describe(parameters: Any) -> Any:
        status, headers, body = original(parameters)
        text = body.decode() if isinstance(body, bytes) else body
        for name, zone in context.account.read().zones.items():
            item = re.compile(rf"(<zoneName>{re.escape(name)}</zoneName>.*?<zoneId>)[^<]*", re.DOTALL)
            text = item.sub(rf"\g<1>{zone}", text)
        return status, headers, text.encode()

    return describe


def _offerings(context: Context) -> Callable[[Any], Any]:
    """Each zone has each type that is asked for, unless the account's file says otherwise."""

    def describe(parameters: Any) -> Any:
        if ec2._p(parameters, "LocationType", "region") != "availability-zone":
            return ec2._error("InvalidParameterValue", "The local cloud has LocationType availability-zone alone.", 400)
        number, types = 1, list[str]()
        while name := ec2._p(parameters, f"Filter.{number}.Name", ""):
            if name != "instance-type":
                return ec2._error("InvalidParameterValue", f"The local cloud has no filter {name}.", 400)
            place = 1
            while value := ec2._p(parameters, f"Filter.{number}.Value.{place}", ""):
                types.append(value)
                place += 1
            number += 1
        if not types:
            return ec2._error("InvalidParameterValue", "The local cloud asks for the filter instance-type.", 400)
        _, _, zones = ec2._ACTION_MAP["DescribeAvailabilityZones"]({})
        names = _ZONE_NAME.findall(zones.decode() if isinstance(zones, bytes) else zones)
        missing = context.account.read().missing_types
        items = "".join(
            f"<item><instanceType>{kind}</instanceType><locationType>availability-zone</locationType>"
            f"<location>{zone}</location></item>"
            for kind in types
            for zone in names
            if kind not in missing.get(zone, ())
        )
        content = f"<instanceTypeOfferingSet>{items}</instanceTypeOfferingSet>"
        return ec2._xml(200, "DescribeInstanceTypeOfferingsResponse", content)

    return describe


def _with_unconfirmed(original: Callable[[Any], Any], context: Context) -> Callable[[Any], Any]:
    """AWS lists a subscription that nobody has confirmed with this word in place of its ARN."""

    def list_(parameters: Any) -> Any:
        status, headers, body = original(parameters)
        text = body.decode() if isinstance(body, bytes) else body
        for address in context.account.read().unconfirmed_emails:
            item = re.compile(
                rf"(?<=<member><SubscriptionArn>)[^<]*(?=</SubscriptionArn>(?:(?!</member>).)*"
                rf"<Protocol>email</Protocol><Endpoint>{re.escape(address)}</Endpoint>)",
                re.DOTALL,
            )
            text = item.sub("PendingConfirmation", text)
        return status, headers, text.encode()

    return list_


def _with_opt_in(original: Callable[[Any], Any], context: Context) -> Callable[[Any], Any]:
    """Without ``AllRegions``, a region that the account has not enabled is left out."""

    def describe(parameters: Any) -> Any:
        status, headers, body = original(parameters)
        text = body.decode() if isinstance(body, bytes) else body
        wants_all = ec2._p(parameters, "AllRegions", "").lower() == "true"
        for region in context.account.read().disabled_regions:
            item = re.compile(rf"<item><regionName>{re.escape(region)}</regionName>.*?</item>", re.DOTALL)
            text = item.sub(lambda found: _OPTED.sub("not-opted-in", found[0]) if wants_all else "", text)
        return status, headers, text.encode()

    return describe


def _with_awss_images(original: Callable[[Request], Any], context: Context) -> Callable[[Request], Any]:
    """In AWS's registries each tag of AWS_REPOSITORIES is there, with a manifest made of its name."""

    def get(request: Request) -> Any:
        repository = request.get("repositoryName")
        if request.get("registryId", responses.get_account_id()) == responses.get_account_id():
            return original(request)
        if repository not in AWS_REPOSITORIES:
            return responses.error_response_json(
                "RepositoryNotFoundException",
                f"The repository with name '{repository}' does not exist in the registry with id "
                f"'{request['registryId']}'",
                HTTPStatus.BAD_REQUEST,
            )
        missing = context.account.read().missing_images
        found, failures = [], []
        for wanted in request["imageIds"]:
            tag = wanted.get("imageTag")
            manifest = json.dumps({"schemaVersion": 2, "name": repository, "tag": tag})
            digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
            if tag is None or f"{repository}:{tag}" in missing:
                reason = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
                failures.append({"imageId": wanted} | reason)
            else:
                identity = {"imageDigest": digest, "imageTag": tag}
                found.append({"repositoryName": repository, "imageId": identity, "imageManifest": manifest})
        return responses.json_response({"images": found, "failures": failures})

    return get
