"""The file that is published: the project stack as `cdk synth` leaves it, made one that stands on its own.

    project/template.yaml      TEMPLATE_BUCKET in it is to become the bucket in which it will lie
    project/assets/<hash>.<x>  what it refers to there

Every resource with a name gets one that contains the project's. A generated name would begin with the stack's, which
SageMaker or Service Catalog choose, and no policy could distinguish a project's resources from others.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import yaml

from environments.projects import PROJECT_ID

FOLDER = "project"
# Not with "sagemaker" in it: AmazonSageMakerFullAccess, which most of Studio's users have, lets them invoke every
# function and delete every object under such a name.
PREFIX = f"headrace-${{{PROJECT_ID}}}-"
NAMED = {
    "AWS::CloudWatch::Alarm": ("AlarmName", 255),
    "AWS::Events::Rule": ("Name", 64),
    "AWS::IAM::Role": ("RoleName", 64),
    "AWS::Lambda::Function": ("FunctionName", 64),
    "AWS::Logs::LogGroup": ("LogGroupName", 512),
    "AWS::SNS::Topic": ("TopicName", 256),
    "AWS::SQS::Queue": ("QueueName", 80),
}
LONGEST_ID = 18  # of a project: see the parameter's pattern
_EARLIEST = (
    1980,
    1,
    1,
    0,
    0,
    0,
)  # the earliest time that a zip archive can hold


def write_project_template(assembly: Path, stack: str) -> Path:
    """Writes the folder `project` into the assembly's; the same bytes for the same source."""
    target = assembly / FOLDER
    template = json.loads((assembly / f"{stack}.template.json").read_text())
    for logical_id, resource in template["Resources"].items():
        resource.pop("Metadata", None)  # where the CDK looks for its own constructs and assets
        _name(logical_id, resource)
    target.mkdir()
    (target / "template.yaml").write_text(yaml.safe_dump(template, sort_keys=False, width=120, allow_unicode=True))
    for asset in json.loads((assembly / f"{stack}.assets.json").read_text())["files"].values():
        if asset["source"]["path"] != f"{stack}.template.json":
            (destination,) = asset["destinations"].values()
            _copy(assembly / asset["source"]["path"], target / destination["objectKey"])
    return target


def _name(logical_id: str, resource: dict[str, Any]) -> None:
    properties = resource.setdefault("Properties", {})
    if resource["Type"] == "AWS::S3::Bucket":  # every bucket of the world has another name, in small letters
        bucket = f"{PREFIX.removesuffix('-')}-${{AWS::AccountId}}-${{AWS::Region}}"
        properties["BucketName"] = {"Fn::Sub": bucket}
    if resource["Type"] == "AWS::KMS::Key":
        # The key policy leaves the key to the account. Whether the launch role can change it again depends on a tag,
        # which the lockout check may not see yet.
        properties["BypassPolicyLockoutSafetyCheck"] = True
    if resource["Type"] in NAMED:
        key, longest = NAMED[resource["Type"]]
        assert len(logical_id) + len(PREFIX) - len(f"${{{PROJECT_ID}}}") + LONGEST_ID <= longest, logical_id
        properties[key] = {"Fn::Sub": f"{PREFIX}{logical_id}"}


def _copy(source: Path, target: Path) -> None:
    """A file as it is; a folder as a zip archive, whose entries have neither times nor the file system's order."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_file():
        shutil.copyfile(source, target)
        return
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(source).as_posix(), _EARLIEST)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, path.read_bytes())
