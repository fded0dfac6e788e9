"""The files that a container finds under ``/opt/ml`` before it starts, and what it leaves there."""

import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.containers.folder import Folder, under

_REASON_LIMIT = 1024
_KILLED = 128 + signal.SIGKILL
# SageMaker's own words for a container that the kernel killed for memory, as its users quote them; the rest is ours.
_OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of job data processed on an "
    "instance. The process was killed (SIGKILL), most likely for lack of memory"
    "\nhint: choose a larger instance type, or lower batch_size or image_size under [<environment>.pipeline]; in the "
    "local cloud, free memory of this machine"
)


def resource_config(instance_type: str, current: str, names: Iterable[str]) -> dict[str, Any]:
    """``resourceconfig.json`` as the host ``current`` of a job finds it; AWS sorts the names as text."""
    hosts = sorted(names)
    return {
        "current_host": current,
        "current_instance_type": instance_type,
        "current_group_name": "homogeneousCluster",
        "hosts": hosts,
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": instance_type, "hosts": hosts}
        ],
        "network_interface_name": "lo",
    }


def message(folder: Folder, name: str) -> str:
    """What the container wrote as its last word: the first 1,024 characters, or nothing."""
    return folder.read(name, 4 * _REASON_LIMIT).decode(errors="replace")[:_REASON_LIMIT].strip()


def algorithm_error(text: str, exit_code: int) -> str:
    """The FailureReason of a container that ended with an error."""
    tail = f", exit code: {exit_code}"
    head = f"AlgorithmError: {text or 'See job logs for more information'}"
    if exit_code == _KILLED and not text:
        head = _OUT_OF_MEMORY
    return head[: _REASON_LIMIT - len(tail)] + tail


def local_folder(root: Path, path: str) -> Folder:
    """The host's folder of a path inside the container. Raises UnsafePath if that is not below ``/opt/ml``."""
    return Folder(root, *under("/opt/ml", path))
