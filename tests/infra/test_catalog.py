"""The catalog stack: who may start projects, what the launch role may do, and what Service Catalog offers."""

from __future__ import annotations

import fnmatch
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aws_cdk.assertions import Match
from cfnlint.api import lint
from cfnlint.config import ManualArgs
from templates import listed

from environments.catalog import load_catalog_settings
from environments.typed_table import SettingsError
from infra.catalog.launch_role import NEEDED
from infra.catalog.project_stack import BOUNDARY

HANDLERS = tomllib.loads((Path(__file__).parent / "handlers.toml").read_text())
# Newer than the schemas of these types, which name the services' former actions or none.
TAGGING = {
    "AWS::Lambda::EventSourceMapping": {"lambda:ListTags", "lambda:TagResource", "lambda:UntagResource"},
    "AWS::Logs::LogGroup": {"logs:ListTagsForResource", "logs:TagResource", "logs:UntagResource"},
}
GOOD = '[dev]\naccount = "123456789012"\nregion = "eu-central-1"\n[dev.catalog]\n'


def statements(document: dict[str, Any]) -> Iterator[tuple[list[str], dict[str, Any]]]:
    for statement in document["Statement"]:
        actions = statement["Action"]
        yield ([actions] if isinstance(actions, str) else actions), statement


def granted(types: set[str]) -> set[str]:
    return {action for kind in types for actions in NEEDED[kind].values() for action in actions}


def test_cdk_nag_and_cfn_lint_have_no_finding(catalog: Any) -> None:
    assert catalog.findings == ""
    assert not lint(json.dumps(catalog.content), config=ManualArgs(regions=["eu-central-1"], ignore_checks=["W3005"]))


def test_launch_role_has_the_actions_of_the_templates_resource_types_and_no_other(
    catalog: Any, published: Path
) -> None:
    template = yaml.safe_load((published / "template.yaml").read_text())
    types = {item["Type"] for item in template["Resources"].values()}
    assert types == NEEDED.keys()
    stacks = {"CreateStack", "DeleteStack", "DescribeStackEvents", "DescribeStacks", "SetStackPolicy", "UpdateStack"}
    stacks |= {"GetTemplateSummary", "TagResource", "ValidateTemplate"}
    found = {action for actions, _ in statements(catalog.properties("Launch/Role/DefaultPolicy")["PolicyDocument"])
             for action in actions}  # fmt: skip
    assert found == granted(types) | {f"cloudformation:{name}" for name in stacks}


@pytest.mark.parametrize("kind", sorted(HANDLERS))
def test_actions_of_a_type_are_those_that_its_handlers_declare(kind: str) -> None:
    """Each declared action that the role lacks is left out for a reason."""
    declared = set(HANDLERS[kind]["declared"])
    left_out = {action for item in HANDLERS[kind].get("without", []) for action in item["actions"]}
    assert granted({kind}) - TAGGING.get(kind, set()) <= declared
    assert left_out <= declared
    everything = granted(set(NEEDED))
    assert declared - everything == left_out - everything


def test_launch_role_makes_roles_within_the_boundary_only(catalog: Any) -> None:
    boundary = {"StringEquals": {"iam:PermissionsBoundary": {"Ref": catalog.logical_id("Boundary/Policy")}}}
    for actions, statement in statements(catalog.properties("Launch/Role/DefaultPolicy")["PolicyDocument"]):
        if {"iam:CreateRole", "iam:PutRolePolicy", "iam:PutRolePermissionsBoundary"} & set(actions):
            assert statement["Condition"] == boundary
        assert not {"iam:DeleteRolePermissionsBoundary", "iam:AttachRolePolicy"} & set(actions)
    assert catalog.properties("Boundary/Policy")["ManagedPolicyName"] == BOUNDARY


def test_launch_role_touches_what_projects_call_their_own(catalog: Any) -> None:
    """A statement may name no resource where IAM has none for the action, or where a condition has the same effect."""
    for actions, statement in statements(catalog.properties("Launch/Role/DefaultPolicy")["PolicyDocument"]):
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        for resource in map(json.dumps, resources):
            own = any(name in resource for name in ("headrace-p-*", "*-p-*", "SC-*", "Templates"))
            listed = {"logs:DescribeLogGroups", "cloudformation:GetTemplateSummary", "cloudformation:ValidateTemplate"}
            # https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html
            listed |= {
                f"sns:{name}" for name in ("GetSubscriptionAttributes", "SetSubscriptionAttributes", "Unsubscribe")
            }
            numbered = "event-source-mapping" in resource or "kms" in resource
            assert own or numbered or "Condition" in statement or set(actions) <= listed, (actions, resource)


def test_boundary_holds_all_that_the_roles_of_a_project_are_allowed(catalog: Any, project: Any) -> None:
    document = catalog.properties("Boundary/Policy")["PolicyDocument"]
    allowed = {action for actions, _ in statements(document) for action in actions}
    roles = [item for item in project.resources.values() if item["Type"] == "AWS::IAM::Policy"]
    assert len(roles) > 5
    for role in roles:
        for actions, _ in statements(role["Properties"]["PolicyDocument"]):
            for action in actions:
                assert any(fnmatch.fnmatchcase(action, pattern) for pattern in allowed), action
    assert not any(action.startswith(("iam:", "sts:")) and action != "iam:PassRole" for action in allowed)
    assert len(json.dumps(document, separators=(",", ":"))) < 6_144  # characters that a managed policy may have


def test_no_project_registers_a_model_as_approved_where_projects_ask_a_person(catalog: Any) -> None:
    document = catalog.properties("Boundary/Policy")["PolicyDocument"]
    (statement,) = [it for it in document["Statement"] if "sagemaker:CreateModelPackage" in listed(it["Action"])]
    assert statement["Condition"] == {"StringEquals": {"sagemaker:ModelApprovalStatus": ["PendingManualApproval"]}}


def test_those_who_start_projects_may_pass_the_launch_role_and_make_nothing_themselves(catalog: Any) -> None:
    policy = catalog.properties("MayLaunch/Policy")
    assert policy["Roles"] == ["AmazonSageMaker-ExecutionRole"]
    allowed = dict.fromkeys(action for actions, _ in statements(policy["PolicyDocument"]) for action in actions)
    services = {action.partition(":")[0] for action in allowed}
    assert services == {"sagemaker", "cloudformation", "s3", "iam"}
    (passing,) = (item for actions, item in statements(policy["PolicyDocument"]) if actions == ["iam:PassRole"])
    assert passing["Resource"] == {"Fn::GetAtt": [catalog.logical_id("Launch/Role"), "Arn"]}


def test_service_catalog_offers_every_version_to_those_who_start_projects(catalog: Any) -> None:
    template = catalog.template
    versions = [
        {"Name": name, "Info": {"LoadTemplateFromURL": Match.any_value()}, "DisableTemplateValidation": False}
        for name in ("1.0.0", "1.1.0")
    ]
    template.has_resource_properties(
        "AWS::ServiceCatalog::CloudFormationProduct",
        {
            "ProvisioningArtifactParameters": [Match.object_like({"Name": item["Name"]}) for item in versions],
            "Tags": Match.array_with([{"Key": "sagemaker:studio-visibility", "Value": "true"}]),
        },
    )
    text = json.dumps(template.find_resources("AWS::ServiceCatalog::CloudFormationProduct"))
    assert f"versions/{'a' * 64}.yaml" in text
    assert f"versions/{'b' * 64}.yaml" in text
    launch = {"Fn::GetAtt": [catalog.logical_id("Launch/Role"), "Arn"]}
    template.has_resource_properties("AWS::ServiceCatalog::LaunchRoleConstraint", {"RoleArn": launch})
    template.has_resource_properties(
        "AWS::ServiceCatalog::PortfolioPrincipalAssociation",
        {"PrincipalARN": "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole"},
    )


def test_studio_may_read_the_template_bucket_from_its_own_pages(catalog: Any) -> None:
    (rule,) = catalog.properties("Templates/Bucket")["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == ["https://*.sagemaker.aws"]
    assert rule["AllowedMethods"] == ["POST", "PUT", "GET", "HEAD", "DELETE"]  # as AWS's sample has it
    assert "ETag" in rule["ExposedHeaders"]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('launched_by = ["me"]\n', "launched_by holds 'me'"),
        (
            'launched_by = ["arn:aws:iam::999999999999:role/r"]\n',
            "launched_by holds 'arn:aws:iam::999999999999:role/r'",
        ),
        ('domain = "birds"\n', "domain is 'birds'"),
        ('versions = { "1.0" = "abc" }\n', "versions holds 1.0 = 'abc'"),
        ('studio = "d-1"\n', "unknown key 'studio'"),
        ('environment = "dev"\n', "environment is set"),
    ],
)
def test_what_is_wrong_in_a_catalogs_table_is_said(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(GOOD + text)
    with pytest.raises(SettingsError, match=what) as caught:
        load_catalog_settings(path, "dev")
    assert "\nhint: " in str(caught.value)


def test_environment_without_a_catalog_offers_none(tmp_path: Path) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(GOOD.removesuffix("[dev.catalog]\n"))
    with pytest.raises(SettingsError, match="dev offers no project template"):
        load_catalog_settings(path, "dev")
