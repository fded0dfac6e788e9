"""Container images of an environment, and their digests in the registry."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headrace.client.environment import Environment
from headrace.client.registries import ACCOUNTS
from headrace.errors import AwsError, NotFound, SetupError
from headrace.project.settings import FILE, settings_of

SETTINGS = ("training_image", "processing_image", "inference_image")


# All that a tag can stand for. Of an image in another form ECR would make up a manifest, with another digest.
MEDIA_TYPES = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]


_IMAGE = re.compile(
    r"(?P<name>(?:(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+/)?(?P<repository>[a-z0-9._/-]+)"
    r"(?::(?P<tag>[\w.-]+))?)(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Image:
    """`name` is without the digest; `account` and `region` are those of its repository."""

    setting: str
    name: str
    digest: str | None
    account: str
    region: str
    repository: str
    tag: str | None


def _images(environment: Environment) -> Iterator[Image]:
    found = settings_of(environment.name)
    for setting in SETTINGS:
        yield parse(setting, str(found[setting].value), environment)


def parse(setting: str, text: str, environment: Environment) -> Image:
    found = _IMAGE.fullmatch(text)
    if found is None or not (found["tag"] or found["digest"]):
        raise SetupError(
            f"{setting} of [{environment.name}] is {text!r}, which is not an image",
            hint="write repository:tag of an AWS deep-learning image, or the URI of a custom image",
        )
    region = found["region"] or environment.region
    account = found["account"] or ACCOUNTS.get(region)
    if account is None:
        raise SetupError(
            f"no account is known that holds AWS's deep-learning images in {region}",
            hint="give whole image URIs of your own repositories",
        )
    return Image(setting, found["name"], found["digest"], account, region, found["repository"], found["tag"])


def find_digest(environment: Environment, image: Image) -> str:
    """What its tag stands for now; for an image without a tag, that its digest is there.

    With ecr:BatchGetImage, which is what the repositories of AWS grant to everybody, because it is how images are
    pulled; DescribeImages is not among that.
    """
    wanted = {"imageTag": image.tag} if image.tag else {"imageDigest": image.digest}
    client = environment.client("ecr", region=image.region)
    with environment.doing(f"looking up {image.name} in the registry of account {image.account}"):
        answer = client.batch_get_image(
            registryId=image.account,
            repositoryName=image.repository,
            imageIds=[wanted],
            acceptedMediaTypes=MEDIA_TYPES,
        )
    if not answer["images"]:
        said = "; ".join(str(failure.get("failureReason") or failure["failureCode"]) for failure in answer["failures"])
        raise NotFound(
            f"the registry of account {image.account} in {image.region} has no {image.name}: {said}",
            hint=f"correct {image.setting} under [{environment.name}] in {FILE}",
        )
    return _checked(answer["images"][0], image)


def _checked(found: dict[str, Any], image: Image) -> str:
    digest = str(found["imageId"]["imageDigest"])
    computed = f"sha256:{hashlib.sha256(found['imageManifest'].encode()).hexdigest()}"
    if digest != computed:
        raise AwsError(
            f"ECR says that {image.name} has the digest {digest}, and its manifest has {computed}",
            hint="try again; if it stays so, look at the image with docker pull, and pin no digest",
        )
    return digest
