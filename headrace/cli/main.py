"""`headrace`: parses the command line, then runs the command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.cli.parser import build_parser

if TYPE_CHECKING:
    from headrace.project.local_cloud import LocalCloud


def main(arguments: Sequence[str] | None = None, *, cloud: LocalCloud | None = None) -> int:
    """Returns the exit status; tests pass their own local cloud."""
    options = build_parser().parse_args(arguments)
    # The commands import boto3 and rich, which --help and a mistake on the command line do not need.
    from headrace.cli.dispatch import run

    return run(options, cloud)
