"""`headrace images`: which container images an environment runs, and which digest each is pinned to.

A tag can be moved to another image, and AWS does so with each patch. A digest is the SHA-256 of the image's manifest,
which has those of all its layers: what is pinned is what runs, until `headrace images --pin` is said again.
"""

from __future__ import annotations

import click

from headrace.client.images import Image, _images, find_digest
from headrace.commands.command import Call, command
from headrace.errors import UsageError
from headrace.project.folder import LOCAL, find_root, read_target
from headrace.project.settings import FILE
from headrace.project.toml_edit import set_values

COLUMNS = ("setting", "image", "pinned to", "its tag is now")
SHOWN = len("sha256:") + 12  # characters of a digest in a table


@command(
    "images", "A tag can be moved to another image, a digest cannot. Asks ECR with your own credentials, which need "
    "ecr:BatchGetImage.", takes_project=False, opens=False,
)  # fmt: skip
@click.option("--pin", is_flag=True, help="write what each tag stands for now into environments.toml")
def show_images(call: Call, *, pin: bool) -> None:
    """The command.

    Raises:
        UsageError: it is local, or serves what another environment registers, with that one's image.
        SetupError: an image is not as the settings have it, or its region has none of AWS's images.
        NotFound: the registry has no image of that name.
        AwsError: it may not be looked up, or what ECR answers does not fit together.
    """
    if call.is_local:
        raise UsageError(
            "the local cloud runs no container images: an image's local counterpart is a Python environment, which its "
            "repository's name chooses, and a digest is taken as given",
            hint="headrace --env dev images" if call.env == LOCAL else f"headrace --env {call.env} images",
        )
    environment, output = call.open(), call.output
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


def _short(digest: str | None) -> str:
    return digest[:SHOWN] if digest else "nothing"


def _state(image: Image, digest: str) -> str:
    return "the same" if digest == image.digest else _short(digest)
