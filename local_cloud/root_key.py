"""The root secret of a state directory: 32 random bytes in a private file.

The access key ID of an account's root is the account number; its secret key is an HMAC of that number under the root
secret. So a user who can read the state directory can act as any account, and nobody else can.
"""

import hmac
import os
import secrets
from pathlib import Path

from local_cloud.errors import LocalCloudError

_FILE = "root-secret"


def make(state: Path) -> None:
    """Makes the directory private, with a root secret in it. An older directory loses what others could read."""
    if state.stat().st_mode & 0o077:
        _tighten(state)
    file = state / _FILE
    if file.exists():
        return
    draft = file.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as content:
            content.write(secrets.token_hex(32))
        draft.replace(file)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def secret_key(state: Path, account: str) -> str:
    """The secret key of the account's root. Raises LocalCloudError if the directory has no root secret."""
    try:
        root = bytes.fromhex((state / _FILE).read_text())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it does not hold hexadecimal digits"
        raise LocalCloudError(
            f"the root secret of the local cloud cannot be read from {state / _FILE}: {reason}.\n"
            "hint: headrace down; headrace up   # a start makes the file if it is missing"
        ) from error
    return hmac.digest(root, account.encode(), "sha256").hex()


def _tighten(state: Path) -> None:
    """Takes the permissions of group and others from the directory, first, and then from everything in it."""
    state.chmod(0o700)
    for folder, folders, files in os.walk(state):
        for name in (*folders, *files):
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o077)
