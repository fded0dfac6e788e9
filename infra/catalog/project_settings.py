"""The settings of projects, with the CDK's references to the parameters of the template."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Aws, Fn

from environments.projects import PARAMETERS, ProjectSettings, load_project_settings


def load_template_settings(path: Path) -> ProjectSettings:
    """Raises SettingsError for a file, a key or a value that is not as it should be."""
    references = {name: Fn.ref(name) for name in PARAMETERS}
    return load_project_settings(path, account=Aws.ACCOUNT_ID, region=Aws.REGION, references=references)
