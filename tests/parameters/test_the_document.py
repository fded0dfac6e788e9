"""docs/parameters.md equals the tables, and a test tries every line of it."""

from __future__ import annotations

import pytest
from parameters_document import DOCUMENT, document
from passed_parameters import passed
from tried import tried

from local_cloud.sagemaker import parameters


@pytest.mark.parametrize("operation", sorted(parameters.EFFECTIVE))
def test_every_parameter_of_sagemaker_that_is_said_to_have_an_effect_is_tried(operation: str) -> None:
    said = {line.partition("=")[0] for line in parameters.EFFECTIVE[operation].split()}
    assert tried().get(f"sagemaker.{operation}", {}).keys() == said


def test_every_parameter_that_is_passed_to_another_service_is_tried() -> None:
    known = tried()
    untried = {
        operation: sorted(parameters - known.get(operation, {}).keys()) for operation, parameters in passed().items()
    }
    assert {operation: names for operation, names in untried.items() if names} == {}


def test_the_document_is_as_the_tables_have_it(request: pytest.FixtureRequest) -> None:
    text = document(passed())
    if request.config.getoption("write_parameters"):
        DOCUMENT.write_text(text, "utf-8")
    assert DOCUMENT.read_text("utf-8") == text, (
        f"{DOCUMENT} says otherwise; python -m pytest {__file__} --write-parameters"
    )
