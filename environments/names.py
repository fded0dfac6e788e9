"""How names of environments, account numbers, regions and zones are written."""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")  # of an environment; it becomes part of resource names
ACCOUNT = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z]{2}(-[a-z]+){1,2}-[0-9]")
ZONE = re.compile(r"[a-z]{2}(-[a-z]+){1,2}-[0-9][a-z]")
