"""Why an installation failed, from the output of pip, npm and venv, and what to try."""

from __future__ import annotations

import re
from pathlib import Path

# The first that fits: a pattern of the output, and a hint.
CAUSES = (
    (
        r"No space left on device|ENOSPC|Disk quota exceeded|EDQUOT",
        "make room: df -h . shows this disk, df -h ${TMPDIR:-/tmp} that of temporary files, and pip's and npm's caches "
        "are in the home",
    ),
    (
        r"ensurepip is not\s+available|No module named '?(?:ensurepip|venv)",
        "install the venv module of this Python: on Debian and Ubuntu, sudo apt install python3-venv",
    ),
    (
        r"ProxyError|Tunnel connection failed|407 Proxy|Cannot connect to proxy|ERR_PROXY|tunneling socket",
        "the proxy refused or did not answer: export HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT; pip and npm read it",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_GET_ISSUER|UNABLE_TO_VERIFY|certificate verify failed",
        "a proxy signs with its own certificate: export PIP_CERT=FILE.pem NODE_EXTRA_CA_CERTS=FILE.pem",
    ),
    (
        r"DO NOT MATCH THE HASHES|EINTEGRITY",
        "an index or a cache gave other files than locks/ names: try again after pip cache purge and npm cache clean",
    ),
    (
        r"401 Unauthorized|403 Forbidden|\bE401\b|\bE403\b",
        "the registry wants other credentials: PIP_INDEX_URL (or pip.conf) and npm config get registry name it",
    ),
    (
        r"NewConnectionError|Name or service not known|name resolution|ConnectTimeout|Read timed out|Network is unreach"
        r"|Connection refused|Could not fetch URL|ENOTFOUND|ETIMEDOUT|ECONNREFUSED|EAI_AGAIN|ENETUNREACH|ECONNRESET",
        "nothing answers there: behind a proxy, export HTTPS_PROXY=http://HOST:PORT, or correct it; with a mirror, "
        "export PIP_INDEX_URL=URL and npm_config_registry=URL",
    ),
    (
        r"No matching distribution found",
        "there is no wheel of that version for this Python and machine: make clean, then make install "
        "PYTHON=/path/to/python3.12; docs/machines.md lists what was tried",
    ),
    (r"Permission denied|EACCES|Read-only file system", "the project's folder has to be one that you may write to"),
)
_TELLING = re.compile(r"^(?:ERROR|error|npm error|npm ERR!|OSError|.*Error:)", re.MULTILINE)
_SHOWN = 4  # lines of the output


class InstallError(Exception):
    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def explained(what: str, output: str, *, log: Path | None = None) -> InstallError:
    """The failure of a program that wrote `output`."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    pattern, hint = next(((pattern, hint) for pattern, hint in CAUSES if re.search(pattern, output)), ("$^", ""))
    telling = [line for line in lines if re.search(pattern, line)][:1]
    telling += [line for line in lines if _TELLING.match(line) and line not in telling]
    shown = "".join(f"\n  {line[:300]}" for line in (telling or lines[-_SHOWN:])[:_SHOWN])
    if log is not None:
        hint = f"{hint}; {log} has the rest" if hint else f"{log} has the rest"
    return InstallError(f"{what}: the installation failed{':' if shown else ''}{shown}", hint or "see above")
