"""Deploy and destroy the environment, a data set to train on, and the queues that receive events and notices."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from headrace.client.environment import Environment
from headrace.commands import cdk
from headrace.errors import SetupError
from headrace.terminal.output import Output
from tests.conformance.world import World

COLORS = {"blue": (40, 60, 200), "green": (50, 180, 70), "red": (200, 50, 60)}
NAME = "headrace-conformance"  # of what the checks make
EACH = 100  # images a class


def deploy(environment: Environment) -> None:
    if environment.running:
        cdk.deploy(environment, Output())
        return
    cdk_on_aws(environment, "bootstrap", f"aws://{environment.account}/{environment.region}")
    cdk_on_aws(environment, "deploy", "--all", "--require-approval", "never")


def destroy(environment: Environment) -> None:
    if environment.running:
        cdk.destroy(environment, Output())
        return
    cdk_on_aws(environment, "destroy", "--all", "--force")


def cdk_on_aws(environment: Environment, *words: str) -> None:
    command = ["npx", "--no-install", "cdk", *words, "-c", f"env={environment.name}"]
    if subprocess.run(command, check=False).returncode:
        raise SetupError(f"failed: {' '.join(command)}", hint="its output is above")


def write_images(folder: Path) -> tuple[Path, Path]:
    """Class folders of noisy squares that a network distinguishes by colour, and one red square outside of them."""
    random = np.random.default_rng(0)
    for name, color in COLORS.items():
        for index in range(EACH + 1):
            pixels = random.integers(0, 90, (32, 32, 3)) + np.array(color) * 0.6
            path = folder / (NAME if index < EACH else "unseen") / name / f"{index:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder / NAME, folder / f"unseen/red/{EACH:03}.png"


def listen(world: World) -> None:
    """Queues that get SageMaker's events, by a rule, and the environment's notices, by a subscription."""
    events, sns = world.environment.client("events"), world.environment.client("sns")
    pattern = {"source": ["aws.sagemaker"], "account": [world.environment.account]}
    rule = events.put_rule(Name=NAME, EventPattern=json.dumps(pattern))["RuleArn"]
    world.cleanup.append(("the rule", lambda: events.delete_rule(Name=NAME)))
    world.events_queue, arn = make_queue(world, f"{NAME}-events", "events.amazonaws.com", rule)
    events.put_targets(Rule=NAME, Targets=[{"Id": "queue", "Arn": arn}])
    world.cleanup.append(("the rule's target", lambda: events.remove_targets(Rule=NAME, Ids=["queue"])))
    stack = world.environment.find_stack(world.environment.stack_name) or {}
    topic = next(item["OutputValue"] for item in stack["Outputs"] if item["OutputKey"] == "NoticeTopicArn")
    world.notices_queue, arn = make_queue(world, f"{NAME}-notices", "sns.amazonaws.com", topic)
    subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    world.cleanup.append(("the subscription", lambda: sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])))


def make_queue(world: World, name: str, service: str, source: str) -> tuple[str, str]:
    """Its URL and ARN; the service may send to it for that source alone."""
    sqs = world.environment.client("sqs")
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    world.cleanup.append((f"the queue {name}", lambda: sqs.delete_queue(QueueUrl=url)))
    arn: str = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {
        "Effect": "Allow", "Principal": {"Service": service}, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}},
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    return url, arn
