"""Processing step: a processing job."""

from local_cloud.sagemaker.pipelines.steps import job

TYPE = job.step_type("Processing", cache_key=("AppSpecification", "Environment", "ProcessingInputs"))
