"""Fixtures of this folder: a local cloud that runs."""

from local_cloud_in_use import bucket, cloud, connect, role

__all__ = ["bucket", "cloud", "connect", "role"]
