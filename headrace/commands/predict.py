"""The environment's endpoint: what it serves, waiting for it, and asking it about images (`headrace predict`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from headrace.client import lines
from headrace.client.endpoint import LARGEST_BODY, Endpoint, ask, wait_for_endpoint
from headrace.client.image_types import is_image
from headrace.commands.command import Call, command
from headrace.commands.parameters import FILE, interval_option, wait_option
from headrace.errors import AwsError, UsageError
from headrace.formats import counted, share, size


@command(
    "predict", "Prints file, label and probability; --json adds the probability of every class. A file that cannot "
    "be read as an image has the reason in its line, and the exit status is then 1.", opens=False,
)  # fmt: skip
@click.argument(
    "files", type=FILE, nargs=-1, required=True, metavar="FILE...",
    help="images, or folders of them: JPEG, PNG, WebP, BMP, TIFF, GIF or AVIF by their content, not their name",
)  # fmt: skip
@wait_option("how long to wait for the endpoint to serve the newest approved version")
@interval_option()
def predict(call: Call, *, files: Sequence[Path], wait: float, interval: float) -> None:
    """The command: one line an image, in the order given; a refused image does not keep the others from an answer."""
    images, output = list_images(files), call.output  # what cannot be sent is refused before AWS is asked
    environment = lines.of_endpoint(call.open(), "predict IMAGE")

    def waiting(endpoint: Endpoint | None) -> None:
        state = f"{endpoint.status}" if endpoint else "not there yet"
        output.note(f"waiting up to {wait:.0f} s for the endpoint {environment.stack.endpoint} ({state})")

    endpoint = wait_for_endpoint(environment, seconds=wait, interval=interval, waiting=waiting)
    serving = f" serves version {endpoint.version}" if endpoint.version is not None else ""
    output.note(f"endpoint {endpoint.name}{serving}")
    answers = ask(environment, images)
    output.table(
        ("file", "label", "probability"),
        [[str(answer.file), answer.label or "-", answer.error or share(answer.probability)] for answer in answers],
        [answer.as_data() for answer in answers],
    )
    refused = [answer for answer in answers if answer.error]
    if refused:
        raise AwsError(
            f"{len(refused)} of {counted(len(answers), 'image')} got no answer; {refused[0].file}: {refused[0].error}",
            hint=f"{environment.command('predict IMAGE')}   # with files that are images",
        )


def list_images(paths: Sequence[Path]) -> list[Path]:
    """The files named, whatever they hold, and the images below the folders named, by their content.

    Raises:
        UsageError: one is missing, cannot be read, or is too large for a request; or there are none.
    """
    images: list[Path] = []
    for path in paths:
        if path.is_dir():
            try:
                images += sorted(file for file in path.rglob("*") if is_image(file))
            except OSError as error:
                raise UsageError(f"{error.filename} cannot be read: {error.strerror}", hint=f"ls -l {path}") from error
        else:
            images.append(path)
    if not images:
        raise UsageError(f"no images below {paths[0]}", hint="headrace predict IMAGE.jpg")
    for image in images:
        if not image.is_file():
            raise UsageError(f"{image} is not there", hint=f"ls {image.parent}")
        if image.stat().st_size > LARGEST_BODY:
            raise UsageError(
                f"{image} has {size(image.stat().st_size)}, a request at most {size(LARGEST_BODY)}",
                hint="send a smaller copy: the model scales images down anyway",
            )
    return images
