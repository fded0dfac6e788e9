"""Whatever stands in a definition, it is taken or refused when it is created and started, and nothing fails inside."""

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from in_process import InProcess

from local_cloud.sagemaker.pipelines.engine.check import checked
from local_cloud.sagemaker.pipelines.engine.limits import unserved
from pipeline_language.definition import DefinitionError
from pipeline_language.references import Path as Parts
from pipeline_language.references import Unresolved

CASES = [json.loads(path.read_text("utf-8")) for path in sorted((Path(__file__).parent / "definitions").glob("*.json"))]
TEXTS = st.sampled_from([
    "", "A", "Steps", "Steps.A", "Parameters.N", "Execution.TrainingJobName", "Equals", "In", "Or", "Not", "Model",
    "Lambda", "Tuning", "EMR", "Steps.A.OutputParameters['x']", "Steps.A.ProcessingOutputConfig.Outputs[0].S3Output",
    "a[", "P1Y",
])  # fmt: skip
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.floats(-2, 2), TEXTS)
NAMES = st.sampled_from(
    ["Get", "Std:Join", "Std:JsonGet", "Path", "Values", "Name", "Type", "Conditions", "OutputName", "Step"]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


class Nothing:
    """No value is known."""

    def parameter(self, name: str) -> Any:
        raise Unresolved(name)

    execution = parameter

    def step(self, name: str, path: Parts) -> Any:
        raise Unresolved(name)

    def property_file(self, step: str, name: str) -> Any:
        raise Unresolved(name)

    def s3_json(self, uri: str) -> Any:
        raise Unresolved(uri)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with every key or index in it."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *places(value[key]))]


@pytest.fixture(scope="module")
def sagemaker(tmp_path_factory: pytest.TempPathFactory) -> InProcess:
    return InProcess(tmp_path_factory.mktemp("sagemaker"))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_a_mutated_definition_is_taken_or_refused(sagemaker: InProcess, data: st.DataObject) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(CASES)))
    for _ in range(data.draw(st.integers(1, 3))):
        if found := places(document):
            container, key = data.draw(st.sampled_from(found))
            container[key] = data.draw(VALUES)
    with suppress(DefinitionError):
        definition = checked(json.dumps(document))
        assert all(isinstance(problem, str) for problem in unserved(definition, Nothing(), sagemaker.service.limits))
