"""`make check` tests what a user changes: environments.toml, prices.toml, training/ and data.

`make test` leaves these tests out: it uses its own settings and training code (tests/support/suite.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from own_jobs import JobFailed

from environments.typed_table import SettingsError
from headrace.errors import HeadraceError


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--data", default="", help="a data set to inspect: a folder of class folders, or an archive")


@contextmanager
def refusals() -> Iterator[None]:
    try:
        yield
    except (SettingsError, JobFailed) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    except HeadraceError as error:
        raise pytest.fail.Exception(f"{error}\n\nhint: {error.hint}", pytrace=False) from None


@pytest.fixture
def explained() -> Callable[[], AbstractContextManager[None]]:
    """Within it a refusal is shown as a user sees it, with its hint and without a traceback."""
    return refusals
