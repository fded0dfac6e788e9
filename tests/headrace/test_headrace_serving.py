"""The served version beside the wanted one: decisions, rollback, repair, and what status says of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scripted_aws import ACCOUNT, REGION, FakeAws
from scripted_cloud import Result, follow
from scripted_sagemaker import FakeSageMaker

Headrace = Callable[..., Result]
DEPLOY = {"headrace": "look-again", "count": 0, "again": True}


@pytest.fixture
def three_approved(sagemaker: FakeSageMaker) -> FakeSageMaker:
    for version in (1, 2, 3):
        sagemaker.add_package(version, "Approved")
    sagemaker.serve(3)
    return sagemaker


def status_lines(result: Result) -> dict[str, str]:
    return {line.split("  ")[0]: line.partition("  ")[2].strip() for line in result.out.splitlines()}


# r01: the endpoint was deleted or moved by hand


def test_approving_an_approved_version_without_an_endpoint_deploys_it(
    headrace: Headrace, sagemaker: FakeSageMaker
) -> None:
    sagemaker.add_package(1, "Approved")
    result = headrace("approve", "1")
    assert result.status == 0, result.err
    assert "version 1 is not served: asked for its deployment" in result.err
    assert sagemaker.sent == [DEPLOY]
    assert "nothing was changed" not in result.err


def test_status_says_that_the_endpoint_is_missing_and_the_command_that_makes_it(
    headrace: Headrace, sagemaker: FakeSageMaker
) -> None:
    sagemaker.add_run("run1", "Succeeded")
    sagemaker.add_package(1, "Approved")
    result = headrace("status")
    assert status_lines(result)["differs"].startswith(
        "there is no endpoint, and version 1 is approved: headrace repair"
    )
    assert result.next == "headrace repair"
    assert follow(headrace, result.next).status == 0
    assert sagemaker.sent == [DEPLOY]
    (difference,) = headrace("status", "--json").data["differences"]
    assert difference["command"] == "headrace repair"


def test_waiting_in_vain_for_a_deleted_endpoint_ends_with_the_command_that_makes_it(
    headrace: Headrace, sagemaker: FakeSageMaker, tmp_path: Path
) -> None:
    sagemaker.add_package(1, "Approved")
    (tmp_path / "a.jpg").write_bytes(b"a seven")
    result = headrace("predict", "a.jpg", "--wait", "0.1", "--interval", "0.05")
    assert result.status == 1
    assert result.hint == "headrace repair   # deploys version 1"
    assert follow(headrace, result.hint).status == 0
    assert sagemaker.sent == [DEPLOY]


def test_an_endpoint_moved_to_another_model_is_reported_and_repaired(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    three_approved.model_of["config-v9"] = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/others/3"
    three_approved.serve(9)
    result = headrace("status")
    assert "serves config-v9, which is not a version of the registry" in status_lines(result)["differs"]
    assert result.next == "headrace repair"


def test_an_endpoint_moved_to_an_older_version_is_reported(headrace: Headrace, three_approved: FakeSageMaker) -> None:
    three_approved.serve(1)
    expected = "the endpoint serves version 1, which is approved; version 3 is the newest approved one: headrace repair"
    assert status_lines(headrace("status"))["differs"].startswith(expected)


@pytest.mark.parametrize("status", ["Creating", "Updating", "RollingBack", "Deleting"])
def test_an_endpoint_that_is_being_changed_does_not_differ_yet(
    headrace: Headrace, three_approved: FakeSageMaker, status: str
) -> None:
    three_approved.serve(1, status=status)
    assert "differs" not in status_lines(headrace("status"))


def test_a_version_that_was_rolled_back_is_not_repaired_but_approved_again(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    three_approved.serve(2)
    three_approved.rolled_back = {3}
    result = headrace("status")
    assert "version 3 was rolled back" in status_lines(result)["differs"]
    assert result.next == "headrace approve 3"
    assert follow(headrace, result.next).status == 0
    assert three_approved.sent == [DEPLOY]


@pytest.mark.parametrize("status", ["OutOfService", "UpdateRollbackFailed"])
def test_an_endpoint_that_can_only_be_deleted_is_reported_with_the_call_that_deletes_it(
    headrace: Headrace, three_approved: FakeSageMaker, status: str
) -> None:
    three_approved.serve(3, status=status, FailureReason="no capacity")
    differs = status_lines(headrace("status"))["differs"]
    assert f"is {status}: no capacity: aws sagemaker delete-endpoint --endpoint-name headrace-local" in differs


# r02: the served version was deleted


def test_status_says_that_the_served_version_is_no_longer_in_the_registry(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    del three_approved.packages[2]
    result = headrace("status")
    expected = "the endpoint serves version 3, which is no longer in the registry; version 2 is the newest approved one"
    assert status_lines(result)["differs"].startswith(expected)
    assert result.next == "headrace repair"


def test_status_says_so_too_where_no_other_version_is_approved(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    sagemaker.add_package(1, "PendingManualApproval")
    sagemaker.serve(2)
    result = headrace("status")
    expected = "the endpoint serves version 2, which is no longer in the registry, and no version is approved"
    assert status_lines(result)["differs"].startswith(expected)
    assert result.next == "headrace approve VERSION"
    assert follow(headrace, result.next, VERSION="1").status == 0


def test_the_hint_of_a_failed_endpoint_repairs_it(
    headrace: Headrace, three_approved: FakeSageMaker, tmp_path: Path
) -> None:
    del three_approved.packages[2]
    three_approved.serve(3, status="Failed", FailureReason="the model package is gone")
    (tmp_path / "a.jpg").write_bytes(b"a seven")
    result = headrace("predict", "a.jpg")
    assert result.hint == "headrace repair   # deploys version 2"
    assert follow(headrace, result.hint).status == 0
    assert three_approved.sent == [DEPLOY]


# r03: versions older than the served one, and beside it


def test_approving_an_older_version_than_the_served_one_says_that_the_newer_one_stays(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    three_approved.packages[1]["ModelApprovalStatus"] = "PendingManualApproval"
    result = headrace("approve", "2")
    assert "served now: version 3" in result.err
    assert "version 3 stays served: it is approved and newer, so version 2 is not deployed" in result.err
    assert "approval deploys it" not in result.err
    assert result.next == "headrace rollback 2   # serves version 2: rejects the approved versions above it"
    assert headrace("approve", "2", "--json").data["wanted"] == 3
    assert follow(headrace, result.next).status == 0
    assert [package["ModelApprovalStatus"] for package in three_approved.packages] == [
        "Approved",
        "Approved",
        "Rejected",
    ]


def test_rejecting_the_served_version_names_it_and_the_one_that_is_served_next(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    result = headrace("reject", "3")
    assert "served now: this version; approved before it: version 2, accuracy 0.9200" in result.err
    assert "version 2, the newest one that is still approved, is served next" in result.err
    assert "next: headrace predict --wait 600 IMAGE   # waits until version 2 is served" in result.err


def test_rejecting_another_version_says_that_the_served_one_stays(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    result = headrace("reject", "1")
    assert "version 3 stays served" in result.err


def test_approving_the_served_version_says_that_it_is_served(headrace: Headrace, three_approved: FakeSageMaker) -> None:
    result = headrace("approve", "3")
    assert "version 3 is served already" in result.err
    assert three_approved.sent == []


def test_a_version_whose_package_failed_cannot_be_served_and_says_so(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    three_approved.add_package(4, "PendingManualApproval", ModelPackageStatus="Failed")
    result = headrace("approve", "4")
    assert "version 4 cannot be served: its model package is Failed" in result.err
    assert "approval deploys it" not in result.err


def test_approving_a_version_of_other_classes_is_warned_of(
    headrace: Headrace, three_approved: FakeSageMaker, aws: FakeAws
) -> None:
    def classes(version: int, *names: str) -> dict[str, Any]:
        matrix = {name: dict.fromkeys(names, 1) for name in names}
        report = {"multiclass_classification_metrics": {"accuracy": {"value": 1.0}, "confusion_matrix": matrix}}
        aws.objects[f"data-bucket/{version}.json"] = json.dumps(report).encode()
        statistics = {"ContentType": "application/json", "S3Uri": f"s3://data-bucket/{version}.json"}
        return {"ModelMetrics": {"ModelQuality": {"Statistics": statistics}}}

    three_approved.packages[2] |= classes(3, "cat", "dog")
    three_approved.add_package(4, "PendingManualApproval", **classes(4, "bird", "dog"))
    result = headrace("approve", "4")
    assert "warning: version 4 has other classes than version 3: new: bird; gone: cat" in result.err
    assert "other classes" not in headrace("approve", "3").err


# rollback


def test_a_rollback_shows_what_it_does_and_rejects_the_versions_above(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    plan = headrace("rollback", "1", "--dry-run")
    assert plan.status == 0, plan.err
    assert "served now: version 3; this would be done:" in plan.err
    assert {package["ModelApprovalStatus"] for package in three_approved.packages} == {"Approved"}
    assert three_approved.sent == []
    done = follow(headrace, plan.next)
    assert done.out.splitlines() == [
        "version 2: Approved -> Rejected (rolled back to version 1)",
        "version 3: Approved -> Rejected (rolled back to version 1)",
        "version 1: served, accuracy 0.9100",
    ]
    assert [package["ModelApprovalStatus"] for package in three_approved.packages] == [
        "Approved",
        "Rejected",
        "Rejected",
    ]
    assert three_approved.packages[2]["ApprovalDescription"] == "rolled back to version 1"
    assert three_approved.sent == [DEPLOY]
    assert "to undo it: headrace approve 3" in done.err


def test_a_rollback_without_a_version_goes_to_the_approved_one_before(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    three_approved.packages[1]["ModelApprovalStatus"] = "Rejected"
    result = headrace("rollback", "--note", "confuses 3 and 8", "--json")
    assert (result.data["wanted"], result.data["rejected"]) == (1, [3])
    assert three_approved.packages[2]["ApprovalDescription"] == "confuses 3 and 8"


def test_a_rollback_to_a_version_that_is_not_approved_is_refused_with_what_to_do(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    three_approved.packages[1]["ModelApprovalStatus"] = "Rejected"
    result = headrace("rollback", "2")
    assert result.status == 2
    assert result.hint == "headrace approve 2 && headrace rollback 2"
    for command in result.hint.split(" && "):
        assert follow(headrace, command).status == 0
    assert [package["ModelApprovalStatus"] for package in three_approved.packages] == [
        "Approved",
        "Approved",
        "Rejected",
    ]


def test_without_an_earlier_approved_version_there_is_nothing_to_roll_back_to(
    headrace: Headrace, sagemaker: FakeSageMaker
) -> None:
    assert "none is approved" in headrace("rollback").err
    sagemaker.add_package(1, "Approved")
    result = headrace("rollback")
    assert result.status == 1
    assert "version 1 is the only approved one" in result.err
    assert follow(headrace, result.hint).status == 0


def test_there_is_nothing_to_repair_without_an_approved_version(headrace: Headrace, sagemaker: FakeSageMaker) -> None:
    sagemaker.add_package(1, "PendingManualApproval")
    result = headrace("repair")
    assert result.status == 1
    assert result.hint == "headrace approve latest"
    assert follow(headrace, result.hint).status == 0
    assert headrace("repair").status == 0


def test_repair_can_wait_for_the_endpoint(headrace: Headrace, three_approved: FakeSageMaker) -> None:
    result = headrace("repair", "--wait", "5", "--interval", "0.05")
    assert result.status == 0, result.err
    assert "serves version 3" in result.err


def test_a_wanted_version_without_a_recorded_hash_is_reported_with_the_run_that_registers_it_again(
    headrace: Headrace, three_approved: FakeSageMaker
) -> None:
    """Such as a version that an earlier Headrace registered, or that a user approved in the console."""
    del three_approved.packages[2]["CustomerMetadataProperties"]["ArtifactSha256"]
    three_approved.serve(2)
    (difference,) = headrace("status", "--json").data["differences"]
    assert difference["what"].startswith("version 3 is approved and is not deployed: it does not record the SHA-256")
    assert difference["command"] == "headrace run birds --again"
    refused = headrace("repair")
    assert (refused.status, three_approved.sent) == (1, [])
    assert "hint: headrace run birds --again" in refused.err
    three_approved.serve(3)
    assert headrace("status", "--json").data["differences"] == []
