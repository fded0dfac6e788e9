"""The container images of jobs and endpoint: AWS's deep-learning images of the region, or images of one's own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aws_cdk.region_info import RegionInfo

from infra.settings import Settings
from infra.typed_table import SettingsError

_URI = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z.]+/(?P<repository>[^:]+):.+")


@dataclass(frozen=True, slots=True)
class Image:
    uri: str
    repository_arn: str


@dataclass(frozen=True, slots=True)
class Images:
    training: Image
    processing: Image
    inference: Image

    @classmethod
    def of(cls, settings: Settings) -> Images:
        return cls(
            training=_image(settings.training_image, settings),
            processing=_image(settings.processing_image, settings),
            inference=_image(settings.inference_image, settings),
        )


def _image(name: str, settings: Settings) -> Image:
    region = RegionInfo.get(settings.region)
    uri = name
    if ".dkr.ecr." not in name:
        account = region.dlc_repository_account
        if account is None:
            raise SettingsError(
                f"AWS has no deep-learning images in region {settings.region!r}",
                f"[{settings.environment}]",
                "check the region's spelling, or give whole image URIs of repositories of your own",
            )
        uri = f"{account}.dkr.ecr.{settings.region}.{region.domain_suffix or 'amazonaws.com'}/{name}"
    match = _URI.fullmatch(uri)
    assert match, f"{uri!r} passed the settings' check"
    arn = f"arn:{region.partition or 'aws'}:ecr:{match['region']}:{match['account']}:repository/{match['repository']}"
    return Image(uri, arn)
