"""Every call of AWS in `lambda/` and `headrace/` fits botocore's model, whether a test comes by it or not."""

from pathlib import Path

import pytest
from aws_calls import ROOT, SERVICES, SOURCES, problems, uses


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_aws_call_fits_the_model(path: Path) -> None:
    found = list(uses(path.read_text()))
    assert not [f"line {use.line}: {problem}" for use in found for problem in problems(use)]


def test_calls_are_found_at_all() -> None:
    """Of every service there is, so that none is listed in vain; and of no other."""
    named = {use.service for path in SOURCES for use in uses(path.read_text())}
    assert named == set(SERVICES)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('client("s3").get_objcet(Bucket=b, Key=k)', "s3 has no get_objcet"),
        ('environment.client("s3").get_object(Bucket=b)', "get_object lacks Key"),
        ('c = environment.client("s3")\nc.get_object(Bucket=b, Key=k, Kye=k)', "get_object has no Kye"),
        ("def f(s3: S3Client): s3.get_object(b, k)", "get_object takes keywords only"),
        ("def f(s3: S3Client): g(s3.get_object)", "get_object is passed on"),
        ("def f(s3: S3Client): s3.put_object(Bucket=b, Key=k, ChecksumAlgorithm='MD4')", "is 'MD4', none of"),
        ("def f(s: SqsClient): s.send_message(QueueUrl=q, MessageBody=m, DelaySeconds='5')", "is not of type integer"),
        ("client.delete_objects(Bucket=b, Delete={'Objects': [{'Kye': k}]})", "Delete.Objects[] has no Kye"),
        ("client.get_paginator('list_objects_v2').paginate(Bukcet=b)", "list_objects_v2 has no Bukcet"),
        ("def f(s3: S3Client): partial(s3.get_object, Bucket=b)", "get_object lacks Key"),
        ("client.get_paginator('get_object').paginate(Bucket=b, Key=k)", "s3 has no pages of get_object"),
    ],
)
def test_the_check_itself_finds_mistakes(source: str, problem: str) -> None:
    assert any(problem in found for use in uses(source) for found in problems(use))


@pytest.mark.parametrize(
    "source", ["storage.get_object(Bucket=b, Key=k)", "pages = client.get_paginator('list_objects_v2')"]
)
def test_a_call_that_cannot_be_judged_is_refused(source: str) -> None:
    with pytest.raises(AssertionError):
        list(uses(source))
