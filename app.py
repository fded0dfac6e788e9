"""The CDK app.

    cdk deploy -c env=NAME        that environment of environments.toml; without -c, `local`
    cdk deploy -c catalog=NAME    what that environment's account needs to offer the project template
    cdk deploy -c delivery=NAME   what lets a repository's workflows deploy that environment
    cdk synth  -c project=true    the project template, as cdk.out/project/

`-c local=true` has a stack in the form that the local cloud takes (`headrace --local --env NAME deploy`).
"""

from pathlib import Path

from aws_cdk import App, CliCredentialsStackSynthesizer, IStackSynthesizer

from environments.catalog import load_catalog_settings
from environments.delivery import load_delivery_settings
from environments.settings import LOCAL, PROJECT, load_settings
from environments.typed_table import SettingsError
from infra.catalog.catalog_stack import CatalogStack
from infra.catalog.project_settings import load_template_settings
from infra.catalog.project_stack import ProjectStack
from infra.catalog.project_template import write_project_template
from infra.stacks.choose import environment_stack
from infra.stacks.delivery_stack import DeliveryStack

ROOT = Path(__file__).resolve().parent
ENVIRONMENTS = ROOT / "environments.toml"
PROJECT_STACK = f"{PROJECT}-project"


def main() -> None:
    app = App(analytics_reporting=False)
    try:
        add_stack(app)
    except SettingsError as error:
        raise SystemExit(f"error: {error}") from error
    assembly = app.synth()
    if app.node.try_get_context("project"):
        write_project_template(Path(assembly.directory), PROJECT_STACK)


def add_stack(app: App) -> None:
    chosen = {name: app.node.try_get_context(name) for name in ("project", "catalog", "delivery")}
    match {name: value for name, value in chosen.items() if value}:
        case {"project": _}:
            ProjectStack(app, PROJECT_STACK, settings=load_template_settings(ENVIRONMENTS), root=ROOT)
        case {"catalog": str(name)}:
            catalog = load_catalog_settings(ENVIRONMENTS, name)
            CatalogStack(app, f"{PROJECT}-catalog", settings=catalog, synthesizer=_synthesizer(app, name))
        case {"delivery": str(name)}:
            delivery = load_delivery_settings(ENVIRONMENTS, name)
            DeliveryStack(app, delivery.stack_name, settings=delivery)
        case _:
            settings = load_settings(ENVIRONMENTS, app.node.try_get_context("env") or LOCAL)
            synthesizer = _synthesizer(app, settings.environment)
            environment_stack(app, settings=settings, root=ROOT, synthesizer=synthesizer)


def _synthesizer(app: App, environment: str) -> IStackSynthesizer | None:
    """The local cloud does not evaluate a condition in the trust of CDK's bootstrap roles; there its caller deploys."""
    is_local = environment == LOCAL or app.node.try_get_context("local") == "true"
    return CliCredentialsStackSynthesizer() if is_local else None


if __name__ == "__main__":
    main()
