"""Failures that are otherwise silent raise an alarm, and one dashboard shows the health of everything."""

import json
from typing import Any

import pytest

FUNCTIONS = {
    "start_pipeline": "StartPipeline",
    "find_champion": "FindChampion",
    "store_model": "StoreModel",
    "deploy_model": "DeployModel",
    "notify": "Notify",
}
QUEUES = {"start_pipeline": "Uploads", "deploy_model": "Decisions", "notify": "Notices/Queue"}


def action(stack: Any, name: str) -> list[dict[str, str]]:
    """The function for notices words every alarm but those on itself."""
    return [{"Ref": stack.logical_id("Notices/Topic" if name == "notify" else "Notices/Alarms")}]


@pytest.mark.parametrize("metric", ["Errors", "Throttles"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_that_breaks_raises_an_alarm(prod: Any, name: str, metric: str) -> None:
    alarm = prod.properties(f"Health/{name}{metric}")
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == ("AWS/Lambda", metric, "Sum")
    function = {"Ref": prod.logical_id(f"{FUNCTIONS[name]}/Function")}
    assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": function}]
    assert (alarm["Threshold"], alarm["TreatMissingData"]) == (1, "notBreaching")
    assert name in alarm["AlarmDescription"]
    assert alarm["AlarmActions"] == action(prod, name)


@pytest.mark.parametrize("name", QUEUES)
def test_messages_that_wait_for_an_hour_raise_an_alarm(prod: Any, name: str) -> None:
    """Longer than any wait that is meant: four times the longest delay of SQS."""
    alarm = prod.properties(f"Health/{name}Waits")
    assert (alarm["MetricName"], alarm["Threshold"]) == ("ApproximateAgeOfOldestMessage", 3600)
    queue = {"Fn::GetAtt": [prod.logical_id(f"{QUEUES[name]}/Queue"), "QueueName"]}
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": queue}]
    assert alarm["AlarmActions"] == action(prod, name)


def widgets(stack: Any) -> dict[str, dict[str, Any]]:
    """The dashboard's graphs by title; what CloudFormation fills in stands as `<…>`."""
    parts = stack.properties("Dashboard/Dashboard")["DashboardBody"]["Fn::Join"][1]
    body = json.loads("".join(part if isinstance(part, str) else f"<{next(iter(part.values()))}>" for part in parts))
    return {item["properties"]["title"]: item["properties"] for item in body["widgets"]}


def test_dashboard_shows_runs_jobs_queues_functions_and_endpoint(prod: Any) -> None:
    shown = widgets(prod)
    assert shown["Executions"]["metrics"][0][:4] == [
        "AWS/Sagemaker/ModelBuildingPipeline",
        "ExecutionStarted",
        "PipelineName",
        "headrace-prod",
    ]
    assert 'PipelineName="headrace-prod"' in json.dumps(shown["Steps, milliseconds"]).replace("\\", "")
    assert shown["Endpoint: invocations"]["metrics"][0][2:4] == ["EndpointName", "headrace-prod"]
    for title in ("Messages that wait", "Age of the oldest, seconds", "Dead letters"):
        assert len(shown[title]["metrics"]) == len(QUEUES)
    for title in ("Functions: errors", "Functions: throttles", "Functions: longest call, milliseconds"):
        assert len(shown[title]["metrics"]) == len(FUNCTIONS)


def test_dashboard_shows_metrics_that_the_functions_write(prod: Any) -> None:
    """Under the name of the function that writes them."""
    metrics = widgets(prod)["Uploads, starts, refusals, deployments"]["metrics"]
    metrics += widgets(prod)["Seconds from the last upload to the start"]["metrics"]
    found = {(name, function) for namespace, name, _, function, *_ in metrics if namespace == "Headrace"}
    start, notify = (f"<{prod.logical_id(path)}>" for path in ("StartPipeline/Function", "Notify/Function"))
    notified = ("ExecutionsFailed", "GateRefused", "DefinitionsRefused", "Deployments", "ArtifactsRefused", "Rollbacks")
    started = ("Uploads", "ExecutionsStarted", "WaitSeconds")
    assert found == {(name, start) for name in started} | {(name, notify) for name in notified}


def test_every_function_keeps_its_log_as_long_as_the_environment_says(prod: Any, local: Any) -> None:
    for stack in (prod, local):
        logs = [item for item in stack.resources.values() if item["Type"] == "AWS::Logs::LogGroup"]
        functions = [item for item in stack.resources.values() if item["Type"] == "AWS::Lambda::Function"]
        assert len(logs) == len(functions)
        assert {item["Properties"]["RetentionInDays"] for item in logs} == {stack.settings.log_retention_days}
