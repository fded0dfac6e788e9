"""The SDK's environment, without which this folder is skipped, and a local cloud for the SDK as a client."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from local_cloud_in_use import bucket, cloud, connect, role

from pipeline_definition import PipelineSettings

__all__ = ["bucket", "cloud", "connect", "role"]

HERE = Path(__file__).parent
INSTALLED = HERE.parents[1] / ".venv" / "sagemaker" / "installed"
OFFLINE = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAGEMAKER_VALIDATE_ROLE": "false",  # it would ask IAM
}


@pytest.fixture
def sdk(tmp_path: Path) -> Callable[..., Any]:
    """Runs a script of this folder under the SDK; gives the JSON that it prints."""
    if not INSTALLED.exists():
        pytest.skip("the sagemaker SDK is not installed: `make sdk` installs it into .venv/sagemaker and runs this")

    def run(script: str, settings: PipelineSettings, bindings: dict[str, str], role: str = "", **env: str) -> Any:
        region = bindings["Region"]
        request = {"settings": asdict(settings), "bindings": bindings, "role": role}
        ended = subprocess.run(
            [INSTALLED.parent / "bin" / "python", HERE / script],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            # Importing the SDK without a region raises.
            env=OFFLINE | {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_DEFAULT_REGION": region, **env},
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    return run
