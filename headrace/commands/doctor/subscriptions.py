"""Whether those who are to get notices by e-mail have confirmed it: SNS sends nothing before."""

from __future__ import annotations

from collections.abc import Iterator

from headrace.client.environment import Environment
from headrace.commands.doctor.findings import Finding, ok, problem

PENDING = "PendingConfirmation"  # in the place of a subscription's ARN


def check_subscriptions(environment: Environment) -> Iterator[Finding]:
    """Nothing is said before a deployment, which makes the topic. A link in the e-mail is good for three days."""
    stack = environment.find_stack(environment.stack_name) or {}
    outputs = {output["OutputKey"]: str(output["OutputValue"]) for output in stack.get("Outputs", [])}
    topic = outputs.get("NoticeTopicArn")
    if topic is None:
        return
    with environment.doing(f"listing the subscriptions of {topic}"):
        pages = environment.client("sns").get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        found = [item for page in pages for item in page["Subscriptions"]]
    for item in found:
        who = f"{item['Protocol']} {item['Endpoint']}"
        if item["SubscriptionArn"] == PENDING:
            yield problem(
                "notices",
                f"{who} gets no notices: the subscription is not confirmed",
                hint="follow the link in AWS's e-mail; to have it sent again: aws sns subscribe --topic-arn "
                f"{topic} --protocol {item['Protocol']} --notification-endpoint {item['Endpoint']}",
            )
        else:
            yield ok("notices", f"{who} gets them")
