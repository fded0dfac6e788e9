"""Finds a model, an endpoint configuration or an endpoint, or refuses in SageMaker's words."""

from local_cloud.sagemaker.core import arns
from local_cloud.sagemaker.core.documents import DocumentKind
from local_cloud.sagemaker.core.errors import ValidationException
from local_cloud.sagemaker.core.store import Document, Scope, Store

_NOUNS = {
    DocumentKind.MODEL: "model",
    DocumentKind.ENDPOINT_CONFIG: "endpoint configuration",
    DocumentKind.ENDPOINT: "endpoint",
}


def existing(store: Store, scope: Scope, kind: DocumentKind, name: str) -> Document:
    """Raises ValidationException when it does not exist."""
    document = store.get(scope, kind, name)
    if document is None:
        raise ValidationException(f'Could not find {_NOUNS[kind]} "{arns.arn(scope, kind, name)}".')
    return document


def require_new(store: Store, scope: Scope, kind: DocumentKind, name: str) -> None:
    """Raises ValidationException when it exists. Call it in the transaction that creates it."""
    if store.get(scope, kind, name) is not None:
        raise ValidationException(f'Cannot create already existing {_NOUNS[kind]} "{arns.arn(scope, kind, name)}".')
