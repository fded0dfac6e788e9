"""The status of an endpoint in events: each one that DescribeEndpoint knows, as EventBridge writes it."""

import botocore.session

from local_cloud.sagemaker.core.events import endpoint_status

IN_EVENTS = {
    "OutOfService": "OUT_OF_SERVICE",
    "Creating": "CREATING",
    "Updating": "UPDATING",
    "SystemUpdating": "SYSTEM_UPDATING",
    "RollingBack": "ROLLING_BACK",
    "InService": "IN_SERVICE",
    "Deleting": "DELETING",
    "Failed": "FAILED",
    "UpdateRollbackFailed": "UPDATE_ROLLBACK_FAILED",
}


def test_each_status_of_an_endpoint_has_its_name_in_events() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    statuses = model.shape_for("EndpointStatus").enum
    assert {status: endpoint_status(status) for status in statuses} == IN_EVENTS
