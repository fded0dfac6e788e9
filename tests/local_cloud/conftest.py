"""Fixtures of this folder: a local cloud that runs."""

from local_cloud_in_use import bucket, cloud, connect, mortal, role

__all__ = ["bucket", "cloud", "connect", "mortal", "role"]
