"""The front door: every connection and every request passes it before ministack's application sees any of it.

`Door` is the ASGI application that the server serves, `connections` the listening socket under it. This package knows
nothing of ministack: what it has to know of keys and tokens it asks through two callables.
"""

from local_cloud.door.door import Door
from local_cloud.door.signature import Key

__all__ = ["Door", "Key"]
