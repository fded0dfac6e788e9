"""Two roles that a repository's workflows assume without keys, for as long as a workflow runs.

Each may only assume roles of the CDK's bootstrap stack, which deploy. Once per environment, by hand:
cdk deploy -c delivery=NAME.

The trust policies compare the token's claims: `sub` in either format of GitHub's
(https://docs.github.com/en/actions/reference/security/oidc#immutable-subject-claims), the repository's number, and, for
the role that deploys, the workflow file. STS has condition keys for the last two since January 2026
(https://aws.amazon.com/about-aws/whats-new/2026/01/aws-sts-supports-validation-identity-provider-claims/).
"""

from __future__ import annotations

from aws_cdk import CfnOutput, Environment, Stack, Tags
from aws_cdk import aws_iam as iam
from constructs import Construct

from environments.delivery import DeliverySettings
from infra.parts.grants import allow

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
        deploy = self._role(
            "Deploy",
            "Deploys the environment",
            approved if settings.approve else branch,
            {"job_workflow_ref": settings.deploy_workflow},
        )
        self._allow_to_take_on(deploy, "deploy-role", "file-publishing-role", "lookup-role")
        diff = self._role("Diff", "Compares the environment with what a pull request would deploy", "pull_request", {})
        self._allow_to_take_on(diff, "lookup-role")
        CfnOutput(self, "DeployRoleArn", value=deploy.role_arn)
        CfnOutput(self, "DiffRoleArn", value=diff.role_arn)

    def _oidc_provider(self) -> str:
        if self._settings.oidc_provider == "new":
            provider = iam.CfnOIDCProvider(self, "GitHub", url=f"https://{ISSUER}", client_id_list=[AUDIENCE])
            return provider.attr_arn
        return self.format_arn(service="iam", region="", resource="oidc-provider", resource_name=ISSUER)

    def _role(self, id: str, description: str, subject: str, claims: dict[str, str]) -> iam.Role:
        """A role for one repository's workflows, and of these for one branch, one environment or pull requests."""
        required = {
            "aud": AUDIENCE,
            "sub": f"{self._settings.subject}:{subject}",
            "repository_id": str(self._settings.repository_id),
            **claims,
        }
        conditions = {f"{ISSUER}:{name}": value for name, value in required.items()}
        return iam.Role(
            self,
            id,
            role_name=self._settings.role_name(id.lower()),
            assumed_by=iam.WebIdentityPrincipal(self._provider, {"StringEquals": conditions}),
            description=description,
        )

    def _allow_to_take_on(self, role: iam.Role, *kinds: str) -> None:
        place = f"{self._settings.environment.account}-{self._settings.environment.region}"
        roles = [
            self.format_arn(service="iam", region="", resource="role", resource_name=f"cdk-{QUALIFIER}-{kind}-{place}")
            for kind in kinds
        ]
        allow(role, ["sts:AssumeRole"], roles)
