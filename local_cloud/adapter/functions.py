"""Lambda functions: the environment they run in, and the end of their processes."""

from collections.abc import Callable
from pathlib import Path

from ministack.core import lambda_runtime

from local_cloud.sagemaker.images import image


def plug_in(images: Path) -> None:
    lambda_runtime._detect_runtime_binary = _isolated(lambda_runtime._detect_runtime_binary, images)


def _isolated(original: Callable[[str], tuple[str, str]], images: Path) -> Callable[[str], tuple[str, str]]:
    """Python functions get an interpreter that has boto3 and the standard library, and nothing else of this machine."""

    def detect(runtime: str) -> tuple[str, str]:
        binary, worker = original(runtime)
        if runtime.startswith("python"):
            binary = str(image("lambda-python", images) / "bin" / "python")
        return binary, worker

    return detect


def end_functions() -> None:
    """Ends the processes of Lambda functions, which are kept warm between calls."""
    lambda_runtime.reset()
