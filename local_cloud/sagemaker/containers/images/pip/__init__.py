"""Stands for pip inside a local image; see `local_cloud.sagemaker.containers.images`."""
