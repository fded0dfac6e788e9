"""The calls of AWS in a source, read from its syntax tree, and what does not fit botocore's model.

A client is what `client("<service>")` gives, a parameter annotated `…Client`, and whatever is called `client`; a method
of an AWS operation on anything else fails, so that no call is overlooked.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name
from botocore.model import ListShape, OperationModel, Shape, StructureShape

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("lambda", "headrace") for path in (ROOT / folder).rglob("*.py"))
SERVICES = (
    "budgets",
    "ce",
    "cloudformation",
    "ec2",
    "ecr",
    "kms",
    "lambda",
    "logs",
    "s3",
    "sagemaker",
    "sagemaker-runtime",
    "service-quotas",
    "sns",
    "sqs",
    "sts",
)
ANNOTATIONS = {
    "Ec2Client": "ec2",
    "LogsClient": "logs",
    "RuntimeClient": "sagemaker-runtime",
    "S3Client": "s3",
    "SageMakerClient": "sagemaker",
    "SnsClient": "sns",
    "SqsClient": "sqs",
}
NO_OPERATIONS = {"close", "upload_file"}  # methods that boto3 adds to a client; they check their arguments themselves
UNKNOWN = ""  # a client, of which service is not said


@cache
def operations(service: str) -> dict[str, OperationModel]:
    model = botocore.session.get_session().get_service_model(service)
    return {xform_name(name): model.operation_model(name) for name in model.operation_names}


@cache
def paginated(service: str) -> frozenset[str]:
    pages = botocore.session.get_session().get_paginator_model(service)
    return frozenset(xform_name(name) for name in pages._paginator_config)


@cache
def waiters(service: str) -> dict[str, str]:
    """The operation that each waiter asks."""
    model = botocore.session.get_session().get_waiter_model(service)
    return {xform_name(name): xform_name(model.get_waiter(name).operation) for name in model.waiter_names}


@dataclass(frozen=True, slots=True)
class Use:
    """A use of a client's method: the method, and the call, or None if the method is passed on instead."""

    service: str
    method: str
    line: int
    call: ast.Call | None


def service_named(node: ast.expr) -> str | None:
    """The service of a call: s3 for `client("s3")` and `environment.client("s3")`."""
    match node:
        case ast.Call(func=ast.Name(id="client") | ast.Attribute(attr="client"), args=[ast.Constant(value=str(name))]):
            return name
    return None


def clients(tree: ast.AST) -> dict[str, str]:
    """The names under which the module has clients, and their services; none is used for two of them."""
    found = {"client": UNKNOWN}

    def add(name: str, service: str) -> None:
        if name == "client":  # may be any service's
            return
        assert found.setdefault(name, service) == service, f"{name} is a client of {found[name]} and of {service}"

    for node in ast.walk(tree):
        match node:
            case ast.arg(arg=name, annotation=ast.Name(id=kind)) if kind in ANNOTATIONS:
                add(name, ANNOTATIONS[kind])
            case ast.arg(arg=name, annotation=ast.Constant(value=str(kind))) if kind in ANNOTATIONS:
                add(name, ANNOTATIONS[kind])
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if service := service_named(value):
                add(name, service)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, value in zip(names, values, strict=True):
                    if isinstance(target, ast.Name) and (service := service_named(value)):
                        add(target.id, service)
    return found


def uses(source: str) -> Iterator[Use]:
    """Each method taken from a client, and what `get_paginator(...).paginate` and `get_waiter(...).wait` ask."""
    tree = ast.parse(source)
    names = clients(tree)
    calls = calls_by_function(tree)
    asked = {
        id(node.value): calls.get(id(node))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("paginate", "wait")
    }
    known = {method for service in SERVICES for method in operations(service)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        call = calls.get(id(node))
        service = service_named(node.value)
        if service is None and isinstance(node.value, ast.Name):
            service = names.get(node.value.id)
        if service is None:
            # AWS's methods take no positional arguments: re.search is none of SageMaker's Search.
            assert node.attr not in known or (call and call.args), f"line {node.lineno}: {node.attr} of no known client"
        elif node.attr in ("get_paginator", "get_waiter"):
            assert call is not None
            (name,) = call.args
            assert isinstance(name, ast.Constant)
            question = asked.get(id(call))
            assert question is not None, f"line {node.lineno}: {name.value} that nobody asks for here"
            if node.attr == "get_waiter":
                assert service, f"line {node.lineno}: a waiter of which service?"
                yield Use(service, f"waiter {name.value}", node.lineno, question)
            else:
                yield Use(service or only_service(name.value), f"pages of {name.value}", node.lineno, question)
        elif node.attr not in NO_OPERATIONS:
            yield Use(service or only_service(node.attr), node.attr, node.lineno, call)


def calls_by_function(tree: ast.AST) -> dict[int, ast.Call]:
    """`partial(client.delete_model, ModelName=name)` counts as the call that it becomes."""
    calls = {}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="partial"), args=[ast.Attribute() as function, *more], keywords=keywords):
                calls[id(function)] = ast.Call(func=function, args=more, keywords=keywords)
            case ast.Call():
                calls[id(node.func)] = node
    return calls


def only_service(method: str) -> str:
    having = [service for service in SERVICES if method in operations(service)]
    assert len(having) == 1, f"{method} is an operation of {having or 'no service'}"
    return having[0]


def problems(use: Use) -> Iterator[str]:
    if use.method.startswith("waiter "):
        name = use.method.removeprefix("waiter ")
        if name not in waiters(use.service):
            yield f"{use.service} has no waiter {name}"
            return
        method = waiters(use.service)[name]
    else:
        method = use.method.removeprefix("pages of ")
    operation = operations(use.service).get(method)
    if operation is None:
        yield f"{use.service} has no {method}"
    elif use.call is None:
        yield f"{method} is passed on: the arguments of its calls cannot be checked"
    else:
        if use.method.startswith("pages of ") and method not in paginated(use.service):
            yield f"{use.service} has no pages of {method}"
        if use.call.args:
            yield f"{method} takes keywords only"
        given = {keyword.arg: keyword.value for keyword in use.call.keywords}
        if method != use.method:
            given.pop("PaginationConfig", None)
            given.pop("WaiterConfig", None)
        yield from structure_problems(given, operation.input_shape, method)


def structure_problems(given: dict[str | None, ast.expr], shape: Shape | None, path: str) -> Iterator[str]:
    """`None` among the keys stands for `**more`, which may hold anything."""
    members = shape.members if isinstance(shape, StructureShape) else {}
    required = set(shape.required_members) if isinstance(shape, StructureShape) else set()
    if None not in given:
        yield from (f"{path} lacks {name}" for name in sorted(required - set(given) - idempotent(members)))
    for name, value in given.items():
        if name is not None and name not in members:
            yield f"{path} has no {name}"
        elif name is not None:
            yield from value_problems(value, members[name], f"{path}.{name}")


def idempotent(members: dict[str, Shape]) -> set[str]:
    """Members for which botocore makes a token."""
    return {name for name, member in members.items() if member.metadata.get("idempotencyToken")}


def value_problems(value: ast.expr, shape: Shape, path: str) -> Iterator[str]:
    """As far as the value is written out: names of members, and the values of enumerations."""
    match value:
        case ast.Dict(keys=keys, values=values) if isinstance(shape, StructureShape):
            if all(key is None or isinstance(key, ast.Constant) for key in keys):
                names = [key.value if isinstance(key, ast.Constant) else None for key in keys]
                yield from structure_problems(dict(zip(names, values, strict=True)), shape, path)
        case ast.List(elts=items) if isinstance(shape, ListShape):
            for item in items:
                yield from value_problems(item, shape.member, f"{path}[]")
        case ast.Constant(value=str(text)):
            allowed = shape.metadata.get("enum")
            if shape.type_name not in ("string", "blob", "timestamp"):
                yield f"{path} is not of type {shape.type_name}"
            elif allowed and text not in allowed:
                yield f"{path} is {text!r}, none of {', '.join(allowed)}"
