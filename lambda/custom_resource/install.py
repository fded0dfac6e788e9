"""What a deployment puts into the data bucket: the code archive, the definition and the marker for "no champion".

And the messages by which pipeline and endpoint come to be what the deployment says.
"""

import json

from custom_resource.request import Deployment
from shared import log
from shared.aws import S3Client, SqsClient


def install(s3: S3Client, deployment: Deployment) -> None:
    """Copy what has changed since the deployment before, and write every object, over what is there.

    CloudFormation sends an update when any of the resource's properties changes. A definition that a maintainer has
    put under pipelines/ survives each but those with another definition in the sources: that one is the newer, and
    taking it is right; the maintainer's remains as a version of the object.
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


def publish_again(sqs: SqsClient, deployment: Deployment) -> None:
    """Have the pipeline looked at: what the definition is bound to, and the parameters' defaults, may be others now.

    It would be at the next upload in any case; but whoever starts the pipeline in Studio before would start the former.
    """
    if deployment.uploads_queue_url:
        sqs.send_message(QueueUrl=deployment.uploads_queue_url, MessageBody=json.dumps({"headrace": "publish"}))


def serve_again(sqs: SqsClient, deployment: Deployment) -> None:
    """Have the endpoint looked at: it may run on other instances now, or be missing beside an approved model.

    No event tells of either: SageMaker's come when a version is approved, and a registry that was kept holds versions
    approved long ago.
    """
    line = {"line": deployment.line} if deployment.line else {}
    body = json.dumps({"headrace": "look-again", "count": 0, **line})
    sqs.send_message(QueueUrl=deployment.decisions_queue_url, MessageBody=body)
