"""Write the objects of a deployment into the data bucket: code archive, definition, and the marker "no champion".

Afterwards messages to start_pipeline and deploy_model update the pipeline and the endpoint.
"""

import json

from custom_resource.request import Deployment
from shared import log
from shared.aws import S3Client, SqsClient


def install(s3: S3Client, deployment: Deployment) -> None:
    """Copy the assets that have changed since the last deployment, and write every object.

    CloudFormation sends an update when any of the resource's properties changes. A definition that a maintainer has
    put under pipelines/ stays until the sources have another definition. That one is newer, so it replaces the
    maintainer's, which remains as a version of the object.
    """
    for copy in deployment.copies:
        if (copy.from_key, copy.to_key) in deployment.copied:
            log.info("unchanged since the last deployment", key=copy.to_key)
            continue
        source = {"Bucket": copy.from_bucket, "Key": copy.from_key}
        s3.copy_object(Bucket=deployment.bucket, Key=copy.to_key, CopySource=source)
        log.info("copied", source=source, key=copy.to_key)
    for key, text in sorted(deployment.objects.items()):
        s3.put_object(Bucket=deployment.bucket, Key=key, Body=text.encode(), ContentType="text/plain; charset=utf-8")
        log.info("written", key=key)


def request_publish(sqs: SqsClient, deployment: Deployment) -> None:
    """Have start_pipeline update the pipeline: the bindings of the definition and the parameters' defaults may differ.

    The next upload would update it as well. But a user who starts the pipeline in Studio before that would start the
    old one.
    """
    if deployment.uploads_queue_url:
        sqs.send_message(QueueUrl=deployment.uploads_queue_url, MessageBody=json.dumps({"headrace": "publish"}))


def request_recheck(sqs: SqsClient, deployment: Deployment) -> None:
    """Have deploy_model check the endpoint: its instances may have changed, or it may be missing.

    No event reports either case: SageMaker sends events when a version is approved, and a retained registry has
    versions that were approved long ago.
    """
    line = {"line": deployment.line} if deployment.line else {}
    body = json.dumps({"headrace": "look-again", "count": 0, **line})
    sqs.send_message(QueueUrl=deployment.decisions_queue_url, MessageBody=body)
