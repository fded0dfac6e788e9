"""The state and the clients that every part of the service is given, and what an operation of the API is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_cloud.sagemaker.core.account import Account
from local_cloud.sagemaker.core.clock import Clock
from local_cloud.sagemaker.core.cloud import Call, Clients, Cloud
from local_cloud.sagemaker.core.configured_images import ConfiguredImage
from local_cloud.sagemaker.core.store import Store
from local_cloud.sagemaker.core.watched_file import WatchedFile

Request = dict[str, Any]
Response = dict[str, Any]
Operation = Callable[[Call, Request], Response]
Operations = Mapping[str, Operation]


@dataclass(frozen=True, slots=True)
class Context:
    """It holds no part of the service: what a part needs of another one is an argument of its constructor."""

    cloud: Cloud
    store: Store
    clients: Clients
    directory: Path
    """Where the service keeps its files; the launcher's are elsewhere."""
    account: WatchedFile[Account]
    clock: Clock
    images: WatchedFile[tuple[ConfiguredImage, ...]]
    """What the user has mapped images to."""
    pip: Mapping[str, str] = field(default_factory=dict)
    """The variables with pip's settings, for the environments of images."""
