"""A network of jobs' and endpoint's own that nothing leads out of but to the data bucket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from environments.network import FEWEST_ZONES
from environments.settings import Settings
from infra.data.data_bucket import DataBucket
from infra.parts.grants import allow
from infra.parts.lambda_function import RETENTION
from infra.parts.nag import NIST, acknowledge

OBJECTS = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]  # as the roles have them
JOIN = ["ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface", "ec2:DeleteNetworkInterfacePermission"]
LOOK = ["DescribeDhcpOptions", "DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeSubnets", "DescribeVpcs"]


class Network(Construct):
    """Isolated subnets without gateway or NAT, and S3's own endpoint, which costs nothing.

    There is no endpoint for another service, because nothing would call it. The containers are isolated, "not able to
    make any outbound network calls, even to other AWS services"; what goes through the VPC is SageMaker's "download and
    upload of customer data and model artifacts", to S3 (SageMaker's guide: Run Training and Inference Containers in
    Internet-Free Mode). Of the services, "Create an Amazon S3 VPC Endpoint" is all that it asks for (Give SageMaker
    Training Jobs, Processing Jobs, Hosted Endpoints Access to Resources in Your Amazon VPC): logs, metrics and images
    go through SageMaker's own network, and S3 asks KMS itself.
    """

    def __init__(self, scope: Construct, id: str, *, settings: Settings, data: DataBucket) -> None:
        super().__init__(scope, id)
        # It is not connected to another network, so any addresses will do: 16 subnets, which is the most that VpcConfig
        # takes, of 4,091 addresses; a job needs two per instance.
        self.vpc = ec2.CfnVPC(self, "Vpc", cidr_block="10.0.0.0/16", enable_dns_support=True, enable_dns_hostnames=True)
        acknowledge(
            self.vpc,
            NIST,
            "VPCDefaultSecurityGroupClosed",
            "CloudFormation cannot close it. Nothing is in it: the roles may make interfaces in the group of the jobs "
            "alone, and it lets its own members in, whom it does not have.",
        )
        routes = ec2.CfnRouteTable(self, "Routes", vpc_id=self.vpc.ref)
        # Their names by CloudFormation, when it deploys: CDK would look them up with credentials when it synthesizes.
        zones = settings.availability_zones or [Fn.select(number, Fn.get_azs()) for number in range(FEWEST_ZONES)]
        self.subnet_ids = [self._subnet(number, zone, routes) for number, zone in enumerate(zones)]
        self.security_group_ids = [self._security_group()]
        self._reach_s3(settings, data, routes)
        self._log_flows(settings)

    @property
    def vpc_config(self) -> dict[str, list[str]]:
        """As SageMaker's requests have it."""
        return {"SecurityGroupIds": self.security_group_ids, "Subnets": self.subnet_ids}

    @property
    def bindings(self) -> dict[str, list[str]]:
        """What a definition calls them."""
        return {"SecurityGroupIds": self.security_group_ids, "SubnetIds": self.subnet_ids}

    def only_here(self, *, of_containers: bool = True) -> dict[str, Any]:
        """Conditions under which a job or model may be made: in these subnets and this group, and isolated.

        Without `of_containers` nothing is asked of the traffic between containers, of which a model has none.
        """
        encrypted = {"sagemaker:InterContainerTrafficEncryption": "true"} if of_containers else {}
        config = {"sagemaker:VpcSecurityGroupIds": self.security_group_ids, "sagemaker:VpcSubnets": self.subnet_ids}
        return {
            "ForAllValues:StringEquals": config,
            "Null": dict.fromkeys(config, "false"),  # all of no values are equal to anything
            "Bool": {"sagemaker:NetworkIsolation": "true", **encrypted},
        }

    def grant_join(self, role: iam.Role, *, also: Sequence[str] = ()) -> None:
        """Have an interface in the network: what SageMaker's guide asks of a role for a VPC, confined to this one."""
        subnets = [self._arn("subnet", subnet) for subnet in self.subnet_ids]
        groups = [self._arn("security-group", group) for group in self.security_group_ids]
        interfaces, why = self._arn("network-interface", "*"), "EC2 names the interfaces that it makes."
        allow(role, ["ec2:CreateNetworkInterface"], [*subnets, *groups, interfaces], because=why)
        allow(role, JOIN, [interfaces], conditions={"ArnEquals": {"ec2:Subnet": subnets}}, because=why)
        look = [*(f"ec2:{action}" for action in LOOK), *also]
        allow(role, look, ["*"], because="IAM has no resource type for these actions.")

    def _arn(self, kind: str, name: str) -> str:
        return Stack.of(self).format_arn(service="ec2", resource=kind, resource_name=name)

    def _subnet(self, number: int, zone: str, routes: ec2.CfnRouteTable) -> str:
        subnet = ec2.CfnSubnet(
            self,
            f"Subnet{number + 1}",
            vpc_id=self.vpc.ref,
            availability_zone=zone,
            cidr_block=f"10.0.{number * 16}.0/20",
            map_public_ip_on_launch=False,
        )
        ec2.CfnSubnetRouteTableAssociation(self, f"Route{number + 1}", subnet_id=subnet.ref, route_table_id=routes.ref)
        return subnet.ref

    def _security_group(self) -> str:
        """Egress on 443 reaches only S3, because the route table has no other target. (S3's prefix list id would need a
        look-up at synthesis.)

        Members may talk to each other on any port, as distributed training needs ("allows inbound connections between
        members of the same security group"); the encryption of that traffic needs UDP 500 and protocol 50.
        """
        https = ec2.CfnSecurityGroup.EgressProperty(
            ip_protocol="tcp", from_port=443, to_port=443, cidr_ip="0.0.0.0/0", description="S3, by its gateway"
        )
        group = ec2.CfnSecurityGroup(
            self,
            "Jobs",
            vpc_id=self.vpc.ref,
            group_description="Jobs and endpoint",
            security_group_egress=[https],
        )
        inbound = ec2.CfnSecurityGroupIngress(
            self,
            "FromMembers",
            group_id=group.attr_group_id,
            source_security_group_id=group.attr_group_id,
            ip_protocol="-1",
            description="Instances of one job",
        )
        ec2.CfnSecurityGroupEgress(
            self,
            "ToMembers",
            group_id=group.attr_group_id,
            destination_security_group_id=group.attr_group_id,
            ip_protocol="-1",
            description="Instances of one job",
        )
        acknowledge(inbound, NIST, "EC2RestrictedCommonPorts", "The source is the group itself: instances of the jobs.")
        return group.attr_group_id

    def _reach_s3(self, settings: Settings, data: DataBucket, routes: ec2.CfnRouteTable) -> None:
        """To the data bucket, for this account; which objects there are whose is in the roles' policies."""

        def allowed(actions: list[str], resource: str) -> iam.PolicyStatement:
            return iam.PolicyStatement(
                principals=[iam.AnyPrincipal()],
                actions=actions,
                resources=[resource],
                conditions={"StringEquals": {"aws:PrincipalAccount": settings.account}},
            )

        document = iam.PolicyDocument(
            statements=[
                allowed(["s3:ListBucket"], data.bucket.bucket_arn),
                allowed(OBJECTS, data.bucket.arn_for_objects("*")),
            ]
        )
        ec2.CfnVPCEndpoint(
            self,
            "S3",
            vpc_id=self.vpc.ref,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{settings.region}.s3",
            route_table_ids=[routes.ref],
            policy_document=document,
        )

    def _log_flows(self, settings: Settings) -> None:
        group = logs.LogGroup(
            self, "Flows", retention=RETENTION[settings.log_retention_days], removal_policy=RemovalPolicy.DESTROY
        )
        acknowledge(
            group,
            NIST,
            "CloudWatchLogGroupEncrypted",
            "CloudWatch Logs encrypts it with its own key. It contains addresses and sizes, no data.",
        )
        writer = iam.Role(
            self,
            "FlowsRole",
            assumed_by=iam.ServicePrincipal(
                "vpc-flow-logs.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": settings.account}}
            ),
            description="Writes the network's flow log",
        )
        allow(
            writer,
            ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [group.log_group_arn],
            because="A stream is named after its interface.",
        )
        flows = ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self.vpc.ref,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_group_name=group.log_group_name,
            deliver_logs_permission_arn=writer.role_arn,
        )
        flows.node.add_dependency(writer)
