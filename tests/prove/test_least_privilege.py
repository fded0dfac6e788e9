"""Each thing that a role is granted is needed by a real run, and confined as a real denial shows; or AWS's own word.

The app is deployed and lives through everything that its roles are there for, while the local cloud records each
decision. Then every role tries the same actions on other people's things, and has to be denied. With these requests
each action, resource and condition is judged: without it a request that was allowed would be denied, so it is needed;
a step wider, or without the condition, a request that was denied would be allowed, so it confines. What the local cloud
does not enforce has AWS's source in `asserted.toml` instead. There is no third group.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from deployed_app import deployment, project_with
from grants import Document, Grant, Request, confined, grants_of, needed
from life import Life
from probes import Connect, Foreign
from stack_roles import client_of, let_the_account_assume, roles_of

from headrace.client.environment import Environment

pytestmark = pytest.mark.timeout(1_200)

HERE = Path(__file__).parent
ASSERTED: list[dict[str, Any]] = tomllib.loads((HERE / "asserted.toml").read_text())["asserted"]


# These roles may list the whole data bucket, not only their part: they get "no such key" instead of "access denied".
# The deployment's function empties the bucket.
MEANT = {
    ("Maintainer", "s3:ListBucket"),
    ("Notify", "s3:ListBucket"),
    ("StartPipeline", "s3:ListBucket"),
    ("SourceDeployment", "s3:DeleteObject"),
    ("SourceDeployment", "s3:DeleteObjectVersion"),
}


@dataclass(frozen=True, slots=True)
class Evidence:
    policies: dict[str, Document]
    """By the role's construct: what it is granted, with every name resolved."""
    requests: dict[str, list[Request]]
    """By the role: what it asked for, while the app lived and when it tried what it must not."""
    tried: list[tuple[str, str, bool]]
    """Role, action and whether it was denied."""


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("life")
    (folder / "project").mkdir()
    project = project_with(folder / "project", epochs="1", accuracy_threshold="0.0")
    with deployment(folder / "state", project=project, recorded=True) as app:
        roles = roles_of(app.environment)
        policies = {role: _policy(app.environment, name) for role, name in roles.items()}
        let_the_account_assume(app.environment, roles.values())
        as_role = partial(client_of, app.environment, roles)
        life = Life(app.environment, app.state, folder, as_role)
        life.live()
        tried = list(_try_what_is_others(app.environment, policies, as_role))
        life.end()
        lines = (app.state / "authorizations.jsonl").read_text().splitlines()
    requests = [Request.from_line(line) for line in lines]
    by_role = {role: [request for request in requests if request.role == name] for role, name in roles.items()}
    return Evidence(policies, by_role, tried)


def _policy(environment: Environment, role: str) -> Document:
    iam = environment.client("iam")
    (name,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document: Document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    return document


def _try_what_is_others(
    environment: Environment, policies: Mapping[str, Document], as_role: Callable[[str, str], Any]
) -> Iterator[tuple[str, str, bool]]:
    assert environment.running is not None
    foreign = Foreign(environment.running.account, environment.region, environment.stack)
    foreign.make(environment.client)
    for role, policy in policies.items():
        connect = cache(partial(as_role, role))
        for action, call in foreign.probes():
            if action in {grant.value for grant in grants_of(role, policy)}:
                yield role, action, _is_denied(call, connect)


def _is_denied(call: Callable[[Connect], object], connect: Connect) -> bool:
    try:
        call(connect)
    except ClientError as error:
        return error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
    return False


def test_nobody_gets_at_what_is_others(evidence: Evidence) -> None:
    let_through = {(role, action) for role, action, denied in evidence.tried if not denied}
    assert let_through == MEANT
    assert {role for role, _, _ in evidence.tried} == set(evidence.policies)


def test_every_grant_is_needed_and_confined_by_a_run_or_by_aws_word(
    evidence: Evidence, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    unexplained, used = [], set[str]()
    for role, policy in evidence.policies.items():
        for grant in grants_of(role, policy):
            for question, answer in _questions(grant, policy, evidence.requests[role]):
                entry = _asserted(grant, question)
                kind = "killed by a run" if answer else "asserted with its source" if entry else "unexplained"
                counts[f"{question}: {kind}"] += 1
                if not answer and entry:
                    used.add(entry["because"])
                elif not answer:
                    unexplained.append(f"not seen to be {question}: {grant}")
    with capsys.disabled():
        print("", *(f"{count:5} {what}" for what, count in sorted(counts.items())), sep="\n")
    assert unexplained == []
    assert [entry["because"] for entry in ASSERTED if entry["because"] not in used] == [], "asserted for nothing"


def _questions(grant: Grant, policy: Document, requests: list[Request]) -> Iterator[tuple[str, Request | None]]:
    if grant.kind != "condition":
        yield "needed", needed(grant, policy, requests)
    if grant.kind != "action" and grant.value != "*":
        yield "confined", confined(grant, policy, requests)


def _asserted(grant: Grant, question: str) -> dict[str, Any] | None:
    """An entry that holds for the action, or for all the actions of the resource or condition."""
    actions = (grant.value,) if grant.kind == "action" else grant.actions
    return next(
        (
            entry
            for entry in ASSERTED
            if question in entry.get("questions", ("needed", "confined"))
            and fnmatchcase(grant.role, entry.get("role", "*"))
            and fnmatchcase(grant.value, entry.get("value", "*"))
            and all(any(fnmatchcase(action, pattern) for pattern in entry["actions"]) for action in actions)
        ),
        None,
    )
