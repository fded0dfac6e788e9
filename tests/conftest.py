"""Tests see nothing of the AWS configuration of whoever runs them: a profile of theirs must neither help nor hurt.

And they find the project's programs first on PATH, as under `make test`.
"""

import os
import sys
from pathlib import Path

import pytest
import shipped_training
from suite import TRAINING

for _name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[_name]
os.environ |= {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "PATH": f"{Path(sys.prefix, 'bin')}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
}


sys.path.insert(0, str(TRAINING))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Whoever changes training/ is told that `make test` does not test it."""
    changed = shipped_training.changed_files()
    if changed:
        terminalreporter.write_line(
            f"tested: the training code that Headrace ships; training/ differs in {', '.join(changed)} (make check)"
        )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-hints", action="store_true", help="write tests/hints.toml (tests/support/hints_table.py)")
    parser.addoption("--write-cli", action="store_true", help="write docs/cli.md (tests/support/cli_reference.py)")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Writes what has been shown so far: a run may be of a few tests."""
    if session.config.getoption("write_hints"):
        from hints_table import write

        write()
