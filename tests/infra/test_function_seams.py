"""The stack and its functions agree: what the one says, the other reads without complaint."""

import json
from pathlib import Path
from typing import Any

from templates import KNOWN, resolved, variables

from custom_resource.request import Deployment
from data_sets import kinds
from deploy_model.environment import Environment as DeployModelEnvironment
from environments.settings import MOST_RUNS
from infra.training import upload_trigger
from notify.environment import Environment as NotifyEnvironment
from pipeline_definition import build_pipeline, render
from start_pipeline.definition import code
from start_pipeline.definition.binding import bound_definition
from start_pipeline.environment import Environment as StartPipelineEnvironment
from start_pipeline.runs.budget import Budget
from start_pipeline.runs.run_limits import MAX_LIMIT, RunLimits
from start_pipeline.trigger import MIN_SECONDS


def test_trigger_reads_its_variables(prod: Any) -> None:
    environment = StartPipelineEnvironment.from_variables(variables(prod, "StartPipeline"))
    assert environment.data_bucket == "data-bucket"
    assert environment.pipeline_role_arn == KNOWN["PipelineRole/Role"]
    assert environment.quiet_seconds == 300
    assert environment.pipeline_tags == prod.settings.all_tags


def test_the_trigger_reads_images_as_the_jobs_do(prod: Any) -> None:
    given = variables(prod, "StartPipeline")
    assert StartPipelineEnvironment.from_variables(given).image_kinds == kinds.TAKEN
    decoded = kinds.taken("pillow==13.0.0\npi_heif==1.4.0")
    more = {"IMAGE_KINDS": json.dumps(sorted(decoded))}
    assert upload_trigger._image_kinds(decoded) == more
    assert StartPipelineEnvironment.from_variables(given | more).image_kinds == kinds.TAKEN | {"HEIC"}


def test_trigger_takes_the_deployed_definition(prod: Any) -> None:
    """Every name is bound, and roles, images and outputs are those of the environment."""
    environment = StartPipelineEnvironment.from_variables(variables(prod, "StartPipeline"))
    definition = render(build_pipeline(prod.settings.pipeline))
    of_code = code.deployed(environment, code.scripts_in(definition)).bindings
    bound = bound_definition(definition, {**environment.bindings, **of_code})
    assert "${headrace:" not in json.dumps(bound)
    assert bound["Steps"][0]["Arguments"]["RoleArn"] == KNOWN["JobRole/Role"]


def test_a_run_of_the_deployed_definition_fits_the_limit(local: Any, prod: Any) -> None:
    """The function gets the region's prices and no other, and takes the definition that is deployed with it."""
    for stack in (local, prod):
        budget = StartPipelineEnvironment.from_variables(variables(stack, "StartPipeline")).budget
        assert budget is not None
        assert budget == Budget(stack.settings.max_run_cost, stack.settings.prices)
        estimated = budget.approve(build_pipeline(stack.settings.pipeline), {})
        assert {line.step for line in estimated.lines} == {"Preprocess", "TrainSpot", "TrainOnDemand", "Evaluate"}


def test_limits_on_runs_reach_the_trigger_of_environments_and_of_projects(prod: Any, project: Any) -> None:
    for stack in (prod, project):
        given = stack.properties("StartPipeline/Function")["Environment"]["Variables"]
        limits = (stack.settings.max_runs_per_day, stack.settings.max_concurrent_runs)
        assert RunLimits.from_variables(given) == RunLimits(*limits) == RunLimits(50, 5)
    assert MOST_RUNS == MAX_LIMIT


def test_the_variables_of_the_trigger_fit_into_what_lambda_takes(prod: Any) -> None:
    """4 KB in all, of names and values; names of resources are short here, so a quarter is left for longer ones."""
    given = variables(prod, "StartPipeline")
    assert sum(len(name) + len(value) for name, value in given.items()) < 3_072


def test_deployer_reads_its_variables(prod: Any) -> None:
    environment = DeployModelEnvironment.from_variables(variables(prod, "DeployModel"))
    assert (environment.endpoint_name, environment.instance_count) == ("headrace-prod", 2)
    assert environment.endpoint_role_arn == KNOWN["EndpointRole/Role"]


def test_notifier_reads_its_variables(prod: Any) -> None:
    environment = NotifyEnvironment.from_variables(variables(prod, "Notify"))
    assert environment.command("logs") == "headrace --env prod logs"
    assert (environment.data_bucket, environment.pipeline) == ("data-bucket", "headrace-prod")


def test_deployment_reads_its_properties(prod: Any, local: Any) -> None:
    for stack, retained in ((prod, True), (local, False)):
        properties = resolved(stack, stack.properties("Source/Resource"))
        deployment = Deployment.from_event({"ResourceProperties": properties})
        assert (deployment.bucket, deployment.retain) == ("data-bucket", retained)
        assert {copy.to_key.split("/")[0] for copy in deployment.copies} == {"code", "pipelines"}


def test_every_function_of_the_folder_is_deployed(prod: Any) -> None:
    folder = Path(__file__).parents[2] / "lambda"
    deployed = {
        item["Properties"]["Handler"].split(".")[0]
        for item in prod.resources.values()
        if item["Type"] == "AWS::Lambda::Function"
    }
    assert deployed == {path.parent.name for path in folder.glob("*/handler.py")}


def test_the_triggers_time_suffices_for_a_look(prod: Any) -> None:
    """With less, it would postpone every check indefinitely."""
    assert prod.properties("StartPipeline/Function")["Timeout"] >= 2 * MIN_SECONDS
