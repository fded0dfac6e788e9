"""`headrace images`: which container images an environment runs, and which digest each is pinned to.

A tag can be moved to another image, and AWS does so with each patch. A digest is the SHA-256 of the image's manifest,
which has those of all its layers: what is pinned is what runs, until `headrace images --pin` is said again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headrace.config import FILE, settings_of
from headrace.environment import Environment
from headrace.errors import AwsError, NotFound, SetupError, UsageError
from headrace.output import Output
from headrace.project import LOCAL, find_root, read_target
from headrace.registries import ACCOUNTS
from headrace.toml_edit import set_values

SETTINGS = ("training_image", "processing_image", "inference_image")
COLUMNS = ("setting", "image", "pinned to", "its tag is now")
# All that a tag can stand for. Of an image in another form ECR would make up a manifest, with another digest.
MEDIA_TYPES = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
]
SHOWN = len("sha256:") + 12  # characters of a digest in a table

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


def refuse_local(name: str, *, is_local: bool) -> None:
    if is_local:
        raise UsageError(
            "the local cloud runs no container images: an image's local counterpart is a Python environment, which its "
            "repository's name chooses, and a digest is taken as given",
            hint="headrace --env dev images" if name == LOCAL else f"headrace --env {name} images",
        )


def show_images(environment: Environment, output: Output, *, pin: bool) -> None:
    """The command.

    Raises:
        UsageError: the environment serves what another one registers, with that one's image.
        SetupError: an image is not as the settings have it, or its region has none of AWS's images.
        NotFound: the registry has no image of that name.
        AwsError: it may not be looked up, or what ECR answers does not fit together.
    """
    source = read_target(environment.name).promotes_from
    if source is not None:
        raise UsageError(
            f"environment {environment.name} serves the versions of {source} in the image of their registration",
            hint=f"headrace --env {source} images",
        )
    images = list(_images(environment))
    found = {image: find_digest(environment, image) for image in images}
    rows = [[image.setting, image.name, _short(image.digest), _state(image, found[image])] for image in images]
    data = [
        {"setting": image.setting, "image": image.name, "pinned": image.digest, "current": found[image]}
        for image in images
    ]
    output.table(COLUMNS, rows, data)
    moved = {image.setting: f"{image.name}@{digest}" for image, digest in found.items() if digest != image.digest}
    if not moved:
        output.note("each is pinned to what its tag stands for")
    elif pin:
        root = find_root()
        assert root is not None, "read_target has read the file beside cdk.json"
        set_values(root / FILE, {environment.name: moved})
        output.note(f"{', '.join(moved)} of [{environment.name}] in {FILE} are pinned now")
        output.next(f"npx cdk diff -c env={environment.name}", "what the next deployment changes; then deploy")
    else:
        output.next(environment.command("images --pin"), f"writes the digests into {FILE}")


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


def _short(digest: str | None) -> str:
    return digest[:SHOWN] if digest else "nothing"


def _state(image: Image, digest: str) -> str:
    return "the same" if digest == image.digest else _short(digest)
