"""The kinds of documents that the store keeps."""

from enum import StrEnum


class DocumentKind(StrEnum):
    """The values are in the databases of state directories: they stay as they are."""

    # Pipelines
    PIPELINE = "pipeline"
    EXECUTION = "execution"
    START_TOKEN = "start-token"
    """The execution that a ClientRequestToken started."""
    STEP = "step"
    CACHED_RESULT = "cache"
    # Jobs
    TRAINING_JOB = "training-job"
    PROCESSING_JOB = "processing-job"
    # The model registry
    MODEL_PACKAGE_GROUP = "group"
    GROUP_POLICY = "group-policy"
    MODEL_PACKAGE = "package"
    MODEL_PACKAGE_TOKEN = "package-token"
    """The version that a ClientToken registered."""
    MODEL_PACKAGE_DELETION = "package-deletion"
    """When a version that is Deleting is gone."""
    LAST_VERSION = "last-version"
    """The highest number that a group has given: numbers of deleted versions are not used again."""
    # Hosting
    MODEL = "model"
    ENDPOINT_CONFIG = "endpoint-config"
    ENDPOINT = "endpoint"
    # Projects
    PROJECT = "project"
    # Of several rooms
    TAGS = "tags"
    """The tags of a resource, by its ARN."""
    NETWORK_INTERFACE = "network-interface"
    """The interface of a job or an endpoint in its VPC."""
    COST_TAG = "cost-tag"
