"""The CDK app.

    cdk deploy -c env=NAME       that environment of environments.toml; without -c, `local`
    cdk deploy -c catalog=NAME   what that environment's account needs to offer the project template
    cdk synth  -c project=true   the project template, as cdk.out/project/

`-c local=true` has a stack in the form that the local cloud takes (`headrace --local --env NAME deploy`).
"""

from pathlib import Path

from aws_cdk import App, CliCredentialsStackSynthesizer, IStackSynthesizer

from infra.catalog_settings import load_catalog_settings
from infra.catalog_stack import CatalogStack
from infra.project_settings import load_project_settings
from infra.project_stack import ProjectStack
from infra.project_template import write_project_template
from infra.settings import LOCAL, PROJECT, load_settings
from infra.stack import HeadraceStack
from infra.typed_table import SettingsError

ROOT = Path(__file__).resolve().parent
ENVIRONMENTS = ROOT / "environments.toml"


def main() -> None:
    app = App(analytics_reporting=False)
    try:
        if app.node.try_get_context("project"):
            stack = ProjectStack(app, f"{PROJECT}-project", settings=load_project_settings(ENVIRONMENTS), root=ROOT)
            write_project_template(Path(app.synth().directory), stack.artifact_id)
            return
        environment = app.node.try_get_context("catalog")
        if environment:
            CatalogStack(
                app,
                f"{PROJECT}-catalog",
                settings=load_catalog_settings(ENVIRONMENTS, environment),
                synthesizer=_synthesizer(app, environment),
            )
            app.synth()
            return
        settings = load_settings(ENVIRONMENTS, app.node.try_get_context("env") or LOCAL)
        HeadraceStack(
            app, settings.name, settings=settings, root=ROOT, synthesizer=_synthesizer(app, settings.environment)
        )
    except SettingsError as error:
        raise SystemExit(f"error: {error}") from error
    app.synth()


def _synthesizer(app: App, environment: str) -> IStackSynthesizer | None:
    """The local cloud does not evaluate a condition in the trust of CDK's bootstrap roles; there its caller deploys."""
    is_local = environment == LOCAL or app.node.try_get_context("local") == "true"
    return CliCredentialsStackSynthesizer() if is_local else None


if __name__ == "__main__":
    main()
