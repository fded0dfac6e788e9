"""The SageMaker pipeline of Headrace as plain data.

`build_pipeline(settings)` returns the definition and `render(definition)` its bytes. Nothing here calls AWS, reads the
environment or looks at a clock: the same settings give the same bytes on every machine.
"""

from pipeline_definition.build import SCRIPTS, build_pipeline, render
from pipeline_definition.references import BINDING_NAMES, LIST_BINDING_NAMES
from pipeline_definition.settings import CAPACITIES, PipelineSettings, PipelineSettingsError

__all__ = [
    "BINDING_NAMES",
    "CAPACITIES",
    "LIST_BINDING_NAMES",
    "SCRIPTS",
    "PipelineSettings",
    "PipelineSettingsError",
    "build_pipeline",
    "render",
]
