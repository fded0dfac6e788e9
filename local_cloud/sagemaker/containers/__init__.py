"""Containers: how a command runs on this machine under ``/opt/ml``, with its image, network, logs and data."""
