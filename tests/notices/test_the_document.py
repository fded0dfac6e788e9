"""docs/notices.md has each kind of notice that is sent, and no other."""

import pytest
from notices_document import documented

from notify.messages import OWN

OF_EVENTS = {"execution-failed", "gate-refused", "approval-needed", "dead-letter"}

RENAMED = {"run-waits"}  # a message of the kind run-limit about a data set that is not dead-lettered


def test_the_document_has_every_kind(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("write_notices", default=False):
        pytest.skip("the document is written at the end")
    assert set(documented()) == OF_EVENTS | RENAMED | set(OWN)
