"""The CDK app: `cdk deploy -c env=<name>` deploys that environment of environments.toml; without -c, `local`.

`-c local=true` has it in the form that the local cloud takes (`headrace --local --env <name> deploy`).
"""

from pathlib import Path

from aws_cdk import App

from infra.settings import LOCAL, load_settings
from infra.stack import HeadraceStack
from infra.typed_table import SettingsError

ROOT = Path(__file__).resolve().parent


def main() -> None:
    app = App(analytics_reporting=False)
    try:
        settings = load_settings(ROOT / "environments.toml", app.node.try_get_context("env") or LOCAL)
        is_local = settings.environment == LOCAL or app.node.try_get_context("local") == "true"
        HeadraceStack(app, settings.name, settings=settings, root=ROOT, in_local_cloud=is_local)
    except SettingsError as error:
        raise SystemExit(f"error: {error}") from error
    app.synth()


if __name__ == "__main__":
    main()
