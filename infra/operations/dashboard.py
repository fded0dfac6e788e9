"""One page of CloudWatch: what runs, what waits, what fails, and how the endpoint does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.parts.lambda_function import LambdaFunction
from infra.parts.watched_queue import WatchedQueue

PIPELINES = "AWS/Sagemaker/ModelBuildingPipeline"  # spelled so, unlike AWS/SageMaker
OWN = "Headrace"  # lambda/shared/log.py writes these
PERIOD = Duration.minutes(5)
OWN_METRICS = {
    "start_pipeline": ["Uploads", "ExecutionsStarted"],
    "notify": ["ExecutionsFailed", "GateRefused", "DefinitionsRefused", "Deployments", "ArtifactsRefused", "Rollbacks"],
}
HALF, THIRD, QUARTER = 12, 8, 6  # of the page's 24 columns


class Dashboard(Construct):
    """One row of graphs after the other, as they are asked for; functions and queues by the function's package."""

    def __init__(self, scope: Construct, id: str, *, name: str) -> None:
        super().__init__(scope, id)
        self._name = name
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=name)

    def show_runs(self, functions: Mapping[str, LambdaFunction]) -> None:
        self.dashboard.add_widgets(*self._runs(functions))
        self.dashboard.add_widgets(*self._jobs())

    def show_endpoint(self) -> None:
        self.dashboard.add_widgets(*self._endpoint(self._name, THIRD, ""))

    def show_line(self, name: str) -> None:
        """A row for a declared line: its executions, and its endpoint."""
        self.dashboard.add_widgets(
            _graph(f"{name}: executions", self._executions(name), QUARTER), *self._endpoint(name, QUARTER, f"{name}: ")
        )

    def show_functions(self, functions: Mapping[str, LambdaFunction], queues: Mapping[str, WatchedQueue]) -> None:
        self.dashboard.add_widgets(*_queues(queues))
        self.dashboard.add_widgets(*_functions(functions))

    def _runs(self, functions: Mapping[str, LambdaFunction]) -> list[cloudwatch.IWidget]:
        own = [_own(functions[package], name, "Sum") for package, names in OWN_METRICS.items() for name in names]
        waits = _own(functions["start_pipeline"], "WaitSeconds", "Maximum")
        return [
            _graph("Executions", self._executions(self._name), THIRD),
            _graph("Uploads, starts, refusals, deployments", own, THIRD),
            _graph("Seconds from the last upload to the start", [waits], THIRD),
        ]

    def _jobs(self) -> list[cloudwatch.IWidget]:
        """Steps and jobs are named at run time, so they are searched for."""
        steps = f'{{{PIPELINES},PipelineName,StepName}} PipelineName="{self._name}" MetricName="StepDuration"'
        return [
            _graph("Steps, milliseconds", [_search(steps, "Average")], HALF),
            _graph("Jobs, % of GPU and CPU", [_search(_jobs(name), "Average") for name in ("GPU", "CPU")], HALF),
        ]

    def _endpoint(self, name: str, width: int, title: str) -> list[cloudwatch.IWidget]:
        failures = [_served(name, metric, "Sum") for metric in ("Invocation4XXErrors", "Invocation5XXErrors")]
        latency = [_served(name, "ModelLatency", statistic) for statistic in ("p50", "p99")]
        return [
            _graph(f"{title}Endpoint: invocations", [_served(name, "Invocations", "Sum")], width),
            _graph(f"{title}Endpoint: latency of the model, microseconds", latency, width),
            _graph(f"{title}Endpoint: refused and failed", failures, width),
        ]

    def _executions(self, pipeline: str) -> list[cloudwatch.Metric]:
        return [
            cloudwatch.Metric(
                namespace=PIPELINES,
                metric_name=f"Execution{end}",
                dimensions_map={"PipelineName": pipeline},
                statistic="Sum",
                period=PERIOD,
            )
            for end in ("Started", "Succeeded", "Failed", "Stopped")
        ]


def _served(endpoint: str, name: str, statistic: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/SageMaker",
        metric_name=name,
        dimensions_map={"EndpointName": endpoint, "VariantName": "AllTraffic"},
        statistic=statistic,
        period=PERIOD,
        label=f"{name} {statistic}",
    )


def _queues(queues: Mapping[str, WatchedQueue]) -> list[cloudwatch.IWidget]:
    waiting = [
        queue.queue.metric_approximate_number_of_messages_visible(label=name, period=PERIOD)
        for name, queue in queues.items()
    ]
    age = [
        queue.queue.metric_approximate_age_of_oldest_message(label=name, period=PERIOD)
        for name, queue in queues.items()
    ]
    dead = [
        queue.dead_letters.metric_approximate_number_of_messages_visible(label=name, period=PERIOD)
        for name, queue in queues.items()
    ]
    return [
        _graph("Messages that wait", waiting, THIRD),
        _graph("Age of the oldest, seconds", age, THIRD),
        _graph("Dead letters", dead, THIRD),
    ]


def _functions(functions: Mapping[str, LambdaFunction]) -> list[cloudwatch.IWidget]:
    named = {name: function.function for name, function in functions.items()}
    errors = [function.metric_errors(label=name, period=PERIOD) for name, function in named.items()]
    throttles = [function.metric_throttles(label=name, period=PERIOD) for name, function in named.items()]
    durations = [
        function.metric_duration(label=name, period=PERIOD, statistic="Maximum") for name, function in named.items()
    ]
    return [
        _graph("Functions: errors", errors, THIRD),
        _graph("Functions: throttles", throttles, THIRD),
        _graph("Functions: longest call, milliseconds", durations, THIRD),
    ]


def _own(function: LambdaFunction, name: str, statistic: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace=OWN,
        metric_name=name,
        dimensions_map={"FunctionName": function.function.function_name},
        statistic=statistic,
        period=PERIOD,
        label=name,
    )


def _jobs(unit: str) -> str:
    return f'{{/aws/sagemaker/TrainingJobs,Host}} MetricName="{unit}Utilization" pipelines'


def _search(terms: str, statistic: str) -> cloudwatch.MathExpression:
    seconds = int(PERIOD.to_seconds())
    return cloudwatch.MathExpression(
        expression=f"SEARCH('{terms}', '{statistic}', {seconds})", using_metrics={}, label="", period=PERIOD
    )


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric], width: int) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=width)
