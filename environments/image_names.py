"""How container images are written in environments.toml."""

from __future__ import annotations

import re

_DIGEST = r"@sha256:[0-9a-f]{64}"
_TAG = r":[A-Za-z0-9._-]+"
# AWS's images need the tag: it names the Python version.
IMAGE = re.compile(
    rf"[a-z0-9._/-]+{_TAG}({_DIGEST})?"
    rf"|[0-9]{{12}}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+({_TAG}|({_TAG})?{_DIGEST})"
)
URI = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+/(?P<repository>[^:@]+)[:@].+")
PINNED = re.compile(r"(?::[^:@/]+)?(?=@)")
"""The tag of an image whose digest follows: what is left without it names the image by its digest alone."""
