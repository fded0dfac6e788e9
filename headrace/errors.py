"""Everything that can go wrong in a foreseeable way, and how AWS's own errors become one of these.

HeadraceError            what happened, a hint with a command to try; exit status 1
├── UsageError           the command line, or a file named on it, is wrong; exit status 2
├── SetupError           the project, the environment or the local cloud is not ready for this command
├── NotFound             an execution, a step, a version or an endpoint of that name is not there
├── AwsError             AWS refused, or could not be reached
├── RunFailed            the watched execution ended otherwise than Succeeded
├── ProjectFailed        a project could not be created, updated or deleted
└── Interrupted          Ctrl-C; exit status 130
"""

from __future__ import annotations

import errno

from botocore import exceptions as botocore_errors

CANNOT_REACH = (
    botocore_errors.HTTPClientError,
    botocore_errors.ConnectionError,
    botocore_errors.ReadTimeoutError,
    botocore_errors.IncompleteReadError,
)
NO_CREDENTIALS = (
    botocore_errors.NoCredentialsError,
    botocore_errors.PartialCredentialsError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.SSOError,
    botocore_errors.TokenRetrievalError,
    botocore_errors.NoAuthTokenError,
    botocore_errors.LoginError,
)
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
INVALID_KEY = {"InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "UnrecognizedClientException"}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown", "RequestLimitExceeded"}


class HeadraceError(Exception):
    """Printed as `error: …`, a blank line, `hint: …`; never as a traceback."""

    exit_status = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(HeadraceError):
    exit_status = 2


class SetupError(HeadraceError):
    pass


class NotFound(HeadraceError):
    pass


class AwsError(HeadraceError):
    pass


class RunFailed(HeadraceError):
    pass


class ProjectFailed(HeadraceError):
    pass


class Interrupted(HeadraceError):
    exit_status = 130


def from_disk(error: OSError) -> HeadraceError:
    """A full disk as one of ours. Raises any other `error` again."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        raise error
    place = f" ({error.filename})" if error.filename else ""
    return SetupError(
        f"the disk is full: {error.strerror}{place}",
        hint="make room: df -h shows each disk; HEADRACE_STATE names a folder for the local cloud on another one",
    )


def error_code(error: botocore_errors.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: botocore_errors.ClientError) -> bool:
    """Whether AWS says that the resource does not exist.

    SageMaker's Describe calls of endpoints and packages answer a ValidationException that only its message
    distinguishes, S3's HeadObject a bare 404.
    """
    code = error_code(error)
    message = str(error.response.get("Error", {}).get("Message", "")).lower()
    if code in {"ResourceNotFound", "ResourceNotFoundException", "NoSuchKey", "404"}:
        return True
    says_so = ("does not exist", "could not find", "cannot find", "not found")
    return code in {"ValidationException", "ValidationError"} and any(words in message for words in says_so)


def from_aws(error: Exception, *, doing: str, environment: str, status_command: str) -> HeadraceError:
    """An error of boto3's as ours. `doing` completes "while …"; `status_command` is what to try when nothing fits."""
    local = environment == "local"
    if isinstance(error, CANNOT_REACH):
        place = "the local cloud" if local else "AWS"
        hint = "headrace up" if local else "check the network, the region in environments.toml and AWS_ENDPOINT_URL"
        return AwsError(f"cannot reach {place} while {doing}: {error}", hint=hint)
    if isinstance(error, NO_CREDENTIALS):
        hint = "aws sso login (or aws configure); then aws sts get-caller-identity shows who you are"
        return AwsError(f"no usable AWS credentials for environment {environment} while {doing}: {error}", hint=hint)
    if isinstance(error, botocore_errors.ProfileNotFound):
        return AwsError(f"{error} (while {doing})", hint="aws configure list-profiles, then export AWS_PROFILE=NAME")
    if isinstance(error, botocore_errors.NoRegionError):
        return AwsError(
            f"no region is known for environment {environment} (while {doing})",
            hint=f'write region = "…" under [{environment}] in environments.toml, or export AWS_REGION=…',
        )
    if isinstance(error, botocore_errors.ClientError):
        return _from_answer(error, doing=doing, environment=environment, status_command=status_command)
    return AwsError(f"{error} (while {doing})", hint=status_command)


def _from_answer(
    error: botocore_errors.ClientError, *, doing: str, environment: str, status_command: str
) -> HeadraceError:
    code = error_code(error)
    said = str(error.response.get("Error", {}).get("Message") or code)
    message = f"AWS refused {error.operation_name} while {doing}: {code}: {said}"
    if code in EXPIRED:
        return AwsError(message, hint="the credentials have expired: aws sso login (or export fresh ones)")
    if code in INVALID_KEY:
        return AwsError(message, hint="AWS does not know these credentials: aws sts get-caller-identity")
    if code in DENIED:
        hint = f"ask the owner of {environment} for this permission; aws sts get-caller-identity shows who you are"
        return AwsError(message, hint=status_command if environment == "local" else hint)
    if code == "NoSuchBucket":  # the stack names it, so it was deleted by other hands
        deploy = (
            "headrace destroy; headrace deploy"
            if environment == "local"
            else (f"npx cdk destroy -c env={environment}; npx cdk deploy -c env={environment}")
        )
        return AwsError(message, hint=f"{deploy}   # creates it again, empty")
    if code in THROTTLED:
        return AwsError(message, hint="AWS is limiting the rate of calls: try again in a minute")
    return AwsError(message, hint=status_command)
