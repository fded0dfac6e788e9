"""Send the endpoint one request with a known answer: InService does not prove that its model answers.

AWS's inference image runs TorchServe, whose /ping answers 200 before the model is loaded, and for 5 minutes after its
loading failed. SageMaker considers that healthy, and terminates the instances that served before:
https://github.com/aws/deep-learning-containers/issues/2917

Evaluate sent the model the same image. The version's metadata records the answer (training/known_answer.py) and a
digest of the classes (training/summary.py). An endpoint with another answer serves another model, or computes wrongly.
For a version without these records any answer passes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from shared import log
from shared.aws import RuntimeClient, error_code

# A white PNG of 2 x 2 pixels, the one of training/known_answer.py.
IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8//8/AwMDEwMDAwMDAwAkBgMB/DXemwAAAABJRU5ErkJggg=="
)
MAX_MESSAGE = 300  # characters of the model's error message
TOLERANCE = 0.05  # of a probability: torch of another version, or on a GPU, differs by less than 0.001
CLASSES, ANSWER = "ClassesDigest", "ProbeAnswer"  # of the version's metadata
MAX_NAMES = 5


def failure(runtime: RuntimeClient, endpoint: str, recorded: Mapping[str, str]) -> str | None:
    """The reason why the model does not answer as the version's metadata (`recorded`) says; None if it does.

    A refusal of the request (4xx) passes: the model's code has run, and may expect other requests. Raises ClientError
    for errors that do not concern the model, such as throttling.
    """
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint, ContentType="image/png", Accept="application/json", Body=IMAGE
        )["Body"].read()
    except ClientError as error:
        if error_code(error) != "ModelError":
            raise
        status = int(error.response.get("OriginalStatusCode", 0))
        message = " ".join(str(error.response.get("OriginalMessage", "")).split())[:MAX_MESSAGE]
        if 400 <= status < 500:
            log.warning("the model refuses the probe", endpoint=endpoint, status=status, said=message)
            return None
        return f"its model answers a request with {status or 'nothing'}: {message or 'no reason given'}"
    prediction = _prediction(answer)
    if prediction is None:
        log.warning("the model answers the probe in another form", endpoint=endpoint, answer=repr(answer[:80]))
        return None
    return _other_answer(prediction.get("probabilities"), recorded)


def _prediction(answer: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(answer)["predictions"][0]
    except (ValueError, LookupError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _other_answer(probabilities: Any, recorded: Mapping[str, str]) -> str | None:
    """How the answer differs, or None. An answer of labels alone is not compared: it does not list the classes."""
    if not isinstance(probabilities, dict) or not probabilities:
        return None
    names = sorted(probabilities)
    if recorded.get(CLASSES, digest := _digest(names)) != digest:
        shown = ", ".join(name[:40] for name in names[:MAX_NAMES])
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        return f"its model knows other classes than its version records: {shown}{more}"
    place, _, expected = recorded.get(ANSWER, "none").partition(" ")
    if not expected or int(place) >= len(names):
        return None
    name = names[int(place)]
    found = probabilities[name]
    if isinstance(found, int | float) and math.isclose(found, float(expected), rel_tol=0, abs_tol=TOLERANCE):
        return None
    return f"its model gives {name[:40]} the probability {found} for an image for which Evaluate recorded {expected}"


def _digest(names: list[str]) -> str:
    """The digest of the classes, computed as in training/summary.py."""
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
