"""docs/settings.md says what the sources say; --write-settings writes it."""

from __future__ import annotations

import re
import tomllib

import pytest
from settings_document import DOCUMENT, WRITE, document
from suite import PROJECT

from environments.description import described_tables


def test_the_page_is_that_of_the_sources(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("write_settings", default=False):
        DOCUMENT.write_text(document(), "utf-8")
    assert DOCUMENT.read_text("utf-8") == document(), WRITE


def test_every_setting_has_a_meaning_of_one_or_two_short_sentences() -> None:
    for table in described_tables():
        for setting in table.settings:
            assert setting.meaning.endswith("."), f"{setting.name}: write what it means below its field"
            assert max(len(sentence.split()) for sentence in re.split(r"[.;:] ", setting.meaning)) <= 20, setting


def test_every_setting_of_the_projects_own_environments_is_described() -> None:
    known = {table.table: {setting.name for setting in table.settings} for table in described_tables()}
    for name, table in tomllib.loads((PROJECT / "environments.toml").read_text()).items():
        own = known[""] | (known["projects"] if name == "projects" else set())
        assert {key for key, value in table.items() if not isinstance(value, dict) or key == "tags"} <= own
        assert table.get("pipeline", {}).keys() <= known["pipeline"]
