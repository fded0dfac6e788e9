"""What lets a repository's workflows deploy an environment: two roles without keys, for as long as a workflow runs.

Neither has a right of its own but to take on the CDK's bootstrap roles, which deploy. Once per environment, by hand:
cdk deploy -c delivery=NAME. https://docs.github.com/en/actions/security-for-github-actions/
"""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack, Tags
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.delivery_settings import DeliverySettings
from infra.permission import allow

ISSUER = "token.actions.githubusercontent.com"
AUDIENCE = "sts.amazonaws.com"
QUALIFIER = "hnb659fds"  # of CDK's bootstrap stack, unless an account chose its own


class DeliveryStack(Stack):
    def __init__(self, scope: Construct, id: str, *, settings: DeliverySettings) -> None:
        environment = settings.environment
        super().__init__(
            scope,
            id,
            env=Environment(account=environment.account, region=environment.region),
            description=f"Headrace, {environment.environment}: who deploys it from {settings.repository}",
        )
        for key, value in environment.all_tags.items():
            Tags.of(self).add(key, value)
        self._settings = settings
        self._provider = self._oidc_provider()
        name = environment.environment
        branch, approved = f"ref:refs/heads/{settings.branch}", f"environment:{name}"
        deploy = self._role("Deploy", approved if settings.approve else branch, "Deploys the environment")
        self._allow_to_take_on(deploy, "deploy-role", "file-publishing-role", "lookup-role")
        diff = self._role("Diff", "pull_request", "Compares the environment with what a pull request would deploy")
        self._allow_to_take_on(diff, "lookup-role")
        CfnOutput(self, "DeployRoleArn", value=deploy.role_arn)
        CfnOutput(self, "DiffRoleArn", value=diff.role_arn)

    def _oidc_provider(self) -> str:
        if self._settings.oidc_provider == "new":
            provider = iam.CfnOIDCProvider(self, "GitHub", url=f"https://{ISSUER}", client_id_list=[AUDIENCE])
            return provider.attr_arn
        return self.format_arn(service="iam", region="", resource="oidc-provider", resource_name=ISSUER)

    def _role(self, id: str, subject: str, description: str) -> iam.Role:
        """For workflows of one repository, and of it for one branch, one approved environment or pull requests."""
        claims = {f"{ISSUER}:aud": AUDIENCE, f"{ISSUER}:sub": f"repo:{self._settings.repository}:{subject}"}
        return iam.Role(
            self,
            id,
            role_name=self._settings.role_name(id.lower()),
            assumed_by=iam.WebIdentityPrincipal(self._provider, {"StringEquals": claims}),
            description=description,
        )

    def _allow_to_take_on(self, role: iam.Role, *kinds: str) -> None:
        place = f"{self._settings.environment.account}-{self._settings.environment.region}"
        roles = [
            self.format_arn(service="iam", region="", resource="role", resource_name=f"cdk-{QUALIFIER}-{kind}-{place}")
            for kind in kinds
        ]
        allow(role, ["sts:AssumeRole"], roles)
