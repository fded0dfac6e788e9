"""network_access = "vpc": jobs and the endpoint run in a network that reaches only the data bucket, and in no other."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Match
from templates import actions, listed, on, resolved, variables

from custom_resource.request import Deployment
from deploy_model.environment import Environment as DeployModelEnvironment
from environments.settings import load_settings
from environments.typed_table import SettingsError
from infra.training.wheels import require_wheels
from pipeline_definition import BINDING_NAMES, LIST_BINDING_NAMES, build_pipeline, render
from start_pipeline.definition import code
from start_pipeline.definition.binding import bound_definition
from start_pipeline.environment import Environment as StartPipelineEnvironment

ROOT = Path(__file__).parents[2]
SUBNETS, GROUP = ["Network/Subnet1", "Network/Subnet2"], "Network/Jobs"
INTERFACES = {
    "ec2:CreateNetworkInterface",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
}
# AWS's source: "If you specify a private VPC for your …", of the APIs CreateTrainingJob, CreateProcessingJob and
# CreateHyperParameterTuningJob in SageMaker's guide on roles; of a model its page on hosted endpoints and VPCs.
MORE = {
    "JobRole/Role": INTERFACES,
    "EndpointRole/Role": INTERFACES | {"ec2:DescribeVpcEndpoints"},
    "Source/Deployment/Role": {"ec2:DescribeNetworkInterfaces"},
}


@pytest.fixture
def public(synthesized: Callable[..., Any]) -> Any:
    """The same environment without the network."""
    return synthesized("prod", tuning_jobs=2)


def statement_of(stack: Any, role: str, action: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [item for item in stack.statements(role) if action in listed(item["Action"])]
    assert len(found) == 1
    return found[0]


def subnet_refs(stack: Any) -> list[dict[str, str]]:
    return [{"Ref": stack.logical_id(path)} for path in SUBNETS]


def group_ref(stack: Any) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [stack.logical_id(GROUP), "GroupId"]}


def test_nothing_leads_out_of_it(isolated: Any) -> None:
    for kind in ("InternetGateway", "EgressOnlyInternetGateway", "NatGateway", "Route", "VPCPeeringConnection", "EIP"):
        isolated.template.resource_count_is(f"AWS::EC2::{kind}", 0)
    isolated.template.resource_count_is("AWS::EC2::VPCEndpoint", 1)


def test_s3_is_reached_for_the_data_bucket_and_by_this_account_alone(isolated: Any) -> None:
    endpoint = isolated.properties("Network/S3")
    assert (endpoint["VpcEndpointType"], endpoint["ServiceName"]) == ("Gateway", "com.amazonaws.eu-central-1.s3")
    assert endpoint["RouteTableIds"] == [{"Ref": isolated.logical_id("Network/Routes")}]
    bucket = {"Fn::GetAtt": [isolated.logical_id("Data/Bucket"), "Arn"]}
    statements = endpoint["PolicyDocument"]["Statement"]
    assert [item["Resource"] for item in statements] == [bucket, {"Fn::Join": ["", [bucket, "/*"]]}]
    for item in statements:
        assert item["Condition"] == {"StringEquals": {"aws:PrincipalAccount": isolated.settings.account}}
    on_s3 = {role: {action for action in actions(isolated.statements(role)) if action.startswith("s3:")}
             for role in ("JobRole/Role", "EndpointRole/Role")}  # fmt: skip
    assert actions(statements) == on_s3["JobRole/Role"] >= on_s3["EndpointRole/Role"]


def test_its_subnets_are_in_two_zones_that_nobody_has_to_look_up(isolated: Any) -> None:
    zones = [isolated.properties(path)["AvailabilityZone"] for path in SUBNETS]
    assert zones == [{"Fn::Select": [number, {"Fn::GetAZs": ""}]} for number in range(2)]
    for path in SUBNETS:
        assert isolated.properties(path)["MapPublicIpOnLaunch"] is False


def test_members_reach_s3_by_https_and_one_another(isolated: Any) -> None:
    """As SageMaker's guide asks for distributed training in a VPC."""
    group = isolated.properties(GROUP)
    assert "SecurityGroupIngress" not in group
    (https,) = group["SecurityGroupEgress"]
    assert (https["IpProtocol"], https["FromPort"], https["ToPort"]) == ("tcp", 443, 443)
    for path, end in (("FromMembers", "SourceSecurityGroupId"), ("ToMembers", "DestinationSecurityGroupId")):
        rule = isolated.properties(f"Network/{path}")
        assert rule["GroupId"] == rule[end] == group_ref(isolated)


def test_all_that_passes_is_logged(isolated: Any) -> None:
    log = isolated.properties("Network/FlowLog")
    assert (log["ResourceType"], log["TrafficType"]) == ("VPC", "ALL")
    assert log["ResourceId"] == {"Ref": isolated.logical_id("Network/Vpc")}
    (trust,) = isolated.properties("Network/FlowsRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": isolated.settings.account}}


def test_roles_may_do_what_a_vpc_takes_and_nothing_else_more(isolated: Any, public: Any) -> None:
    more = {}
    for path, resource in public.resources.items():
        if resource["Type"] == "AWS::IAM::Role":
            usual, here = (actions(stack.statements(path)) for stack in (public, isolated))
            assert usual <= here
            more |= {path: here - usual} if here != usual else {}
    assert more == MORE


@pytest.mark.parametrize("role", ["JobRole/Role", "EndpointRole/Role"])
def test_interfaces_are_made_and_deleted_in_these_subnets_only(isolated: Any, role: str) -> None:
    made_in = {
        resource.rpartition(":ec2:")[2] for resource in on(isolated.statements(role), "ec2:CreateNetworkInterface")
    }
    subnets = {f"subnet/{json.dumps(ref)}" for ref in subnet_refs(isolated)}
    there = {*subnets, f"security-group/{json.dumps(group_ref(isolated))}", "network-interface/*"}
    assert {f"eu-central-1:222222222222:{resource}" for resource in there} == made_in
    for action in ("DeleteNetworkInterface", "CreateNetworkInterfacePermission", "DeleteNetworkInterfacePermission"):
        condition = statement_of(isolated, role, f"ec2:{action}")["Condition"]
        held_to = str(condition["ArnEquals"]["ec2:Subnet"])
        assert all(str(ref) in held_to for ref in subnet_refs(isolated))


@pytest.mark.parametrize(
    ("role", "action", "encrypted"),
    [
        ("PipelineRole/Role", "CreateProcessingJob", True),
        ("PipelineRole/Role", "CreateTrainingJob", True),
        ("PipelineRole/Role", "CreateHyperParameterTuningJob", True),
        ("DeployModel/Role", "CreateModel", False),  # the request has no word for it
    ],
)
def test_nothing_is_started_outside_of_the_network(isolated: Any, role: str, action: str, encrypted: bool) -> None:
    """Whatever a definition says: these keys are SageMaker's own (its service authorization reference)."""
    made = [item for item in isolated.statements(role) if f"sagemaker:{action}" in listed(item["Action"])]
    # CreateModel is also checked against the version, whose statement knows nothing of a network: IAM wants both.
    (statement,) = [item for item in made if "sagemaker:ListModelPackages" not in listed(item["Action"])]
    condition = statement["Condition"]
    isolation = {"sagemaker:NetworkIsolation": "true"}
    assert condition == {
        "ForAllValues:StringEquals": {
            "sagemaker:VpcSecurityGroupIds": [group_ref(isolated)],
            "sagemaker:VpcSubnets": subnet_refs(isolated),
        },
        "Null": {"sagemaker:VpcSecurityGroupIds": "false", "sagemaker:VpcSubnets": "false"},
        "Bool": isolation | ({"sagemaker:InterContainerTrafficEncryption": "true"} if encrypted else {}),
    }


def test_a_public_environment_asks_for_no_network(public: Any) -> None:
    public.template.resource_count_is("AWS::EC2::VPC", 0)
    for role in ("PipelineRole/Role", "DeployModel/Role"):
        assert "sagemaker:Vpc" not in json.dumps(public.statements(role))


def test_functions_read_what_the_stack_says_of_the_network(isolated: Any) -> None:
    trigger = StartPipelineEnvironment.from_variables(variables(isolated, "StartPipeline"))
    assert set(trigger.bindings) == BINDING_NAMES | LIST_BINDING_NAMES
    known = {"SecurityGroupIds": [GROUP], "Subnets": SUBNETS}
    assert DeployModelEnvironment.from_variables(variables(isolated, "DeployModel")).vpc_config == known
    properties = resolved(isolated, isolated.properties("Source/Resource"))
    assert Deployment.from_event({"ResourceProperties": properties}).subnets == tuple(SUBNETS)


def test_the_deployed_definition_is_bound_to_the_network(isolated: Any) -> None:
    trigger = StartPipelineEnvironment.from_variables(variables(isolated, "StartPipeline"))
    definition = render(build_pipeline(isolated.settings.pipeline, in_vpc=True))
    of_code = code.deployed(trigger, code.scripts_in(definition)).bindings
    bound = bound_definition(definition, {**trigger.bindings, **of_code})
    assert bound["Steps"][0]["Arguments"]["NetworkConfig"]["VpcConfig"]["Subnets"] == SUBNETS


def test_the_network_is_deleted_after_its_interfaces_were_waited_for(isolated: Any) -> None:
    """The roles under which SageMaker deletes the interfaces also exist until then."""
    after = set(isolated.resources["Source/Resource"]["DependsOn"])
    needed = [*SUBNETS, GROUP, "Network/Vpc", "Network/S3"]
    needed += [f"{role}/Role/DefaultPolicy" for role in ("JobRole", "EndpointRole")]
    assert {isolated.logical_id(path) for path in needed} <= after


def test_zones_are_those_that_the_environment_names(tmp_path: Path) -> None:
    path = tmp_path / "environments.toml"
    path.write_text(
        '[dev]\naccount = "123456789012"\nregion = "eu-central-1"\nnetwork_access = "vpc"\n'
        'availability_zones = ["eu-central-1b", "eu-central-1c", "eu-central-1a"]\n'
    )
    assert load_settings(path, "dev").availability_zones == ("eu-central-1b", "eu-central-1c", "eu-central-1a")


@pytest.mark.parametrize(
    ("requirements", "wheels", "missing"),
    [
        ("pillow==13.0.0\n", [], "pillow==13.0.0"),
        ("pillow==13.0.0\nsimplejpeg==1.9.0\n", ["pillow-13.0.0-cp312-cp312-x.whl"], "simplejpeg==1.9.0"),
        ("pillow==13.0.0\n", ["pillow-12.0.0-cp312-cp312-x.whl"], "pillow==13.0.0"),
        ("Ruamel.YAML\n# a comment\n\n", ["pillow-13.0.0-cp312-cp312-x.whl"], "Ruamel.YAML"),
        ("pillow\n", ["pillow-13.0.0-cp311-cp311-x.whl"], r"pillow for Python 3\.12 of pytorch\S+"),
        ("pillow\n", ["pillow-13.0.0-cp313-abi3-x.whl"], r"pillow for Python 3\.12 of pytorch\S+"),
        ("pillow\n", ["pillow-13.0.0-cp312-cp312-win_amd64.whl"], r"pillow for Python 3\.12 of pytorch\S+"),
    ],
)
def test_a_requirement_without_a_wheel_is_refused(
    tmp_path: Path, isolated: Any, requirements: str, wheels: list[str], missing: str
) -> None:
    make(tmp_path, requirements, wheels)
    with pytest.raises(SettingsError, match=rf"training/wheels/ lacks {missing}\n") as refusal:
        require_wheels(tmp_path, images(isolated), "prod")
    assert "pip download" in str(refusal.value)


@pytest.mark.parametrize(
    ("requirements", "wheels"),
    [
        ("", []),
        ("# nothing\n", []),
        ("ruamel.yaml[jinja2]==0.18  # why\n", ["ruamel_yaml-0.18-py3-none-any.whl"]),
        ("pillow\n", ["pillow-12.0.0-cp312-cp312-x.whl"]),
        ("pillow\n", ["pillow-12.0.0-cp311-cp311-x.whl", "pillow-12.0.0-1-cp312-cp312-manylinux_2_28_x86_64.whl"]),
        ("pillow\n", ["pillow-12.0.0-cp39-abi3-x.whl"]),
    ],
)
def test_requirements_with_wheels_are_taken(
    tmp_path: Path, isolated: Any, requirements: str, wheels: list[str]
) -> None:
    make(tmp_path, requirements, wheels)
    require_wheels(tmp_path, images(isolated), "prod")


def test_a_wheel_has_to_be_the_file_whose_hash_the_requirements_name(tmp_path: Path, isolated: Any) -> None:
    """As pip sees to it in the job, where it would be too late."""
    wheel, other = (f"pillow-12.0.0-{tags}-manylinux_2_28_x86_64.whl" for tags in ("cp312-cp312", "cp311-cp311"))
    make(tmp_path, "", [wheel])
    (tmp_path / "wheels" / wheel).write_bytes(b"the one")
    known = hashlib.sha256(b"the one").hexdigest()
    text = f"--require-hashes\npillow==12.0.0 \\\n    --hash=sha256:{known}\n"
    (tmp_path / "requirements.txt").write_text(text)
    require_wheels(tmp_path, images(isolated), "prod")
    (tmp_path / "wheels" / other).write_bytes(b"for another Python")
    (tmp_path / "wheels" / wheel).write_bytes(b"another one")
    with pytest.raises(
        SettingsError, match=r"lacks pillow==12\.0\.0 with a hash that requirements\.txt names\n"
    ) as said:
        require_wheels(tmp_path, images(isolated), "prod")
    assert " --only-binary :all: --no-deps --platform manylinux_2_28_x86_64 --platform manylinux_2_17" in str(
        said.value
    )


def test_wheels_are_complete_wherever_there_are_some(tmp_path: Path, prod: Any) -> None:
    """entry.py installs from the folder alone when it is there, also where an index could be reached."""
    make(tmp_path, "pillow\n", [])
    with pytest.raises(SettingsError, match="lacks pillow, from which alone jobs install while it is there"):
        require_wheels(tmp_path, images(prod), "prod", vpc=False)
    (tmp_path / "wheels").rmdir()
    require_wheels(tmp_path, images(prod), "prod", vpc=False)


def images(stack: Any) -> list[str]:
    """Those of jobs and endpoint."""
    return [stack.settings.processing_image, stack.settings.training_image, stack.settings.inference_image]


def make(training: Path, requirements: str, wheels: list[str]) -> None:
    (training / "requirements.txt").write_text(requirements)
    (training / "wheels").mkdir()
    for name in wheels:
        (training / "wheels" / name).touch()


def test_a_custom_key_is_used_and_none_is_made(synthesized: Callable[..., Any]) -> None:
    arn = "arn:aws:kms:eu-central-1:222222222222:key/11112222-3333-4444-5555-666677778888"
    stack = synthesized("prod", data_key=arn)
    assert "Data/Key" not in stack.resources
    stack.template.has_resource_properties(
        "AWS::S3::Bucket",
        {
            "BucketEncryption": {
                "ServerSideEncryptionConfiguration": [
                    Match.object_like({"ServerSideEncryptionByDefault": Match.object_like({"KMSMasterKeyID": arn})})
                ]
            }
        },
    )
    assert arn in list(on(stack.statements("JobRole/Role"), "kms:Decrypt"))
