"""One request to the endpoint: InService does not prove that its model answers.

AWS's inference image runs TorchServe, whose /ping answers 200 before the model is loaded, and for 5 minutes after it
could not be loaded. SageMaker takes that for health, and ends the instances that served before:
https://github.com/aws/deep-learning-containers/issues/2917
"""

from __future__ import annotations

import base64
import json

from botocore.exceptions import ClientError

import log
from aws import RuntimeClient, error_code

# A white PNG of 2 x 2 pixels. A model of images gives it some label; which one is not known, only that there is one.
IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8//8/AwMDEwMDAwMDAwAkBgMB/DXemwAAAABJRU5ErkJggg=="
)
LONGEST_MESSAGE = 300  # characters of the model's own words


def failure(runtime: RuntimeClient, endpoint: str) -> str | None:
    """Why the model does not answer, in words; None if it does.

    A refusal of the request (4xx) is an answer too: the code of the model has run, and may be for other requests.
    Raises ClientError for what says nothing of the model, such as throttling.
    """
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType="image/png", Accept="application/json", Body=IMAGE
        )["Body"].read()
    except ClientError as error:
        if error_code(error) != "ModelError":
            raise
        status = int(error.response.get("OriginalStatusCode", 0))
        message = " ".join(str(error.response.get("OriginalMessage", "")).split())[:LONGEST_MESSAGE]
        if 400 <= status < 500:
            log.warning("the model refuses the probe", endpoint=endpoint, status=status, said=message)
            return None
        return f"its model answers a request with {status or 'nothing'}: {message or 'no reason given'}"
    if not _has_prediction(answer):
        log.warning("the model answers the probe in another form", endpoint=endpoint, answer=repr(answer[:80]))
    return None


def _has_prediction(answer: bytes) -> bool:
    try:
        return bool(json.loads(answer)["predictions"])
    except (ValueError, LookupError, TypeError):
        return False
