"""Whether the registries have the images of the settings: by tag, and by the digest that they are pinned to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from headrace.client.environment import Environment
from headrace.client.images import SETTINGS, find_digest, parse
from headrace.client.registries import ACCOUNTS
from headrace.commands.doctor.findings import Finding, ok, problem, unknown
from headrace.errors import NotFound
from headrace.project.settings import settings_of


def check_images(environment: Environment) -> Iterator[Finding]:
    settings = settings_of(environment.name)
    chosen = SETTINGS if not settings["promotes_from"].value else ()  # that of the source's versions
    for setting in chosen:
        image = parse(setting, str(settings[setting].value), environment)
        own = image.account != ACCOUNTS.get(image.region)
        if environment.running is not None and (own or image.tag is None):
            yield unknown("image", f"{image.name}: the local cloud runs no images, and has AWS's tags alone", hint=None)
            continue
        try:
            current = find_digest(environment, image)
            pinned = image.digest and image.digest != current and environment.running is None
            if pinned:
                find_digest(environment, replace(image, tag=None))
        except NotFound as missing:
            yield problem("image", f"{setting}: {missing}", hint=str(missing.hint))
            continue
        moved = f"; its tag is another image by now: {environment.command('images')}" if pinned else ""
        yield ok("image", f"{setting}: {image.name} is there{moved}")
