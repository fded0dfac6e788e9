"""The SageMaker API: pipelines, jobs, registry and hosting, on one machine."""
