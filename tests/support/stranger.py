"""Sends requests to a local cloud as another user of the machine: `python stranger.py`, a JSON document on stdin.

    {"port": 4566, "requests": [{"method": "GET", "path": "/", "headers": {}, "body": "base64"}]}

Prints the status and the start of the body of each answer. Started by root it becomes nobody first, so it can read
nothing of the state directory; started by anybody else it stays who it is.
"""

import base64

# The socket module imports it by itself, but after the user has changed.
import encodings.idna  # noqa: F401
import http.client
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

NOBODY = 65534


@dataclass(frozen=True)
class Attempt:
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def send(endpoint: str, attempts: Sequence[Attempt]) -> list[tuple[int, str]]:
    """Each attempt's status and what was answered; status 0 for a connection that was closed without an answer."""
    requests = [
        {"method": item.method, "path": item.path, "headers": dict(item.headers),
         "body": base64.b64encode(item.body).decode()}
        for item in attempts
    ]  # fmt: skip
    document = json.dumps({"port": urlsplit(endpoint).port, "requests": requests})
    ended = subprocess.run([sys.executable, __file__], input=document, capture_output=True, text=True, check=True)
    return [(status, text) for status, text in json.loads(ended.stdout)]


def _main() -> None:
    document = json.load(sys.stdin)
    context = ssl.create_default_context()  # before the user changes, who may not read the interpreter's files
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    answers = []
    for request in document["requests"]:
        connection = http.client.HTTPSConnection("127.0.0.1", document["port"], context=context, timeout=30)
        try:
            connection.putrequest(request["method"], request["path"], skip_host=True, skip_accept_encoding=True)
            headers = {"Host": f"localhost:{document['port']}"} | request["headers"]
            body = base64.b64decode(request["body"])
            for name, value in headers.items():
                if name.lower() != "content-length":
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            answers.append((response.status, response.read().decode(errors="replace")[:300]))
        except (OSError, http.client.HTTPException) as error:
            answers.append((0, repr(error)))
        finally:
            connection.close()
    print(json.dumps(answers))


def other_user_can_open(paths: Sequence[Path]) -> list[str]:
    """The paths that another user of the machine can list or read. Needs root."""
    script = (
        "import os, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for line in sys.stdin.read().split('\\0'):\n"
        "    if os.access(line, os.R_OK): print(line)\n"
    )
    text = "\0".join(map(str, paths))
    ended = subprocess.run([sys.executable, "-c", script], input=text, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


if __name__ == "__main__":
    _main()
