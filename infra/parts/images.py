"""The container images of jobs and endpoint: AWS's deep-learning images of the region, or your own images.

An image with a digest is referred to by the digest alone: "SageMaker supports both registry/repository[:tag] and
registry/repository[@digest] image path formats" (AlgorithmSpecification, ContainerDefinition), and says nothing of both
together. The tag stays in environments.toml, for people and for the next look-up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aws_cdk import Stack
from aws_cdk.region_info import FactName

from environments.image_names import PINNED, URI
from environments.typed_table import SettingsError

NOWHERE = "none"


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
    def of(cls, stack: Stack, *, training: str, processing: str, inference: str, where: str) -> Images:
        """Of the names as the settings have them; `where` is the table of the settings, for an error."""
        named = (training, processing, inference)
        return cls(*(_image(name, stack, where) for name in named))


def registries(stack: Stack, names: Sequence[str]) -> list[str]:
    """All repositories of the stack's account, of AWS's deep-learning images, and of the accounts of own images.

    `names` are images as the settings have them. For a stack of one region: it has to know AWS's account there.
    """
    aws = stack.regional_fact(FactName.DLC_REPOSITORY_ACCOUNT, NOWHERE)
    places = {(match["region"], match["account"]) for name in names if (match := URI.fullmatch(name))}
    places |= {(stack.region, account) for account in (stack.account, aws) if account != NOWHERE}
    return [f"arn:{stack.partition}:ecr:{region}:{account}:repository/*" for region, account in sorted(places)]


def _image(name: str, stack: Stack, where: str) -> Image:
    name = PINNED.sub("", name)
    own = URI.fullmatch(name)
    if own:
        arn = f"arn:{stack.partition}:ecr:{own['region']}:{own['account']}:repository/{own['repository']}"
        return Image(name, arn)
    account = stack.regional_fact(FactName.DLC_REPOSITORY_ACCOUNT, NOWHERE)
    if account == NOWHERE:
        raise SettingsError(
            f"AWS has no deep-learning images in region {stack.region!r}",
            where,
            "check the region's spelling, or give whole image URIs of your own repositories",
        )
    suffix = stack.regional_fact(FactName.DOMAIN_SUFFIX, "amazonaws.com")
    repository = re.split("[:@]", name)[0]
    arn = stack.format_arn(service="ecr", account=account, resource="repository", resource_name=repository)
    return Image(f"{account}.dkr.ecr.{stack.region}.{suffix}/{name}", arn)
