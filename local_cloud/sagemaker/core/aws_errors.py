"""The messages of botocore's errors, for the reasons and messages of the service."""

from botocore.exceptions import ClientError


def error_message(error: ClientError) -> str:
    return str(error.response["Error"].get("Message") or error)


def error_details(error: ClientError) -> str:
    """The message with the error's code."""
    return f"{error_message(error)} ({error.response['Error']['Code']})"
