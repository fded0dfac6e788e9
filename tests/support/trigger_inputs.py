"""What the trigger may be given, objects in the data bucket and messages in its queue, and what is to come of it.

Each input says its outcome: `run`, `ignored` or `dead-lettered`. docs/trigger-inputs.md has the words of the refusals.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from worlds import BUCKET, NAME, UploadWorld, event

LONG = "long/" * 199  # with datasets/birds/ and 1234567890.jpg it makes 1,024 bytes


@dataclass(frozen=True, slots=True)
class Input:
    given: str
    outcome: str
    act: Callable[[UploadWorld], None]
    runs: tuple[str, ...] = ()  # the data sets that are run


def put(given: str, *keys: str, run: str | tuple[str, ...] | None = None, outcome: str = "run") -> Input:
    """Objects put by these keys, one after the other; with `run`, what is run for them."""
    runs = (run,) if isinstance(run, str) else run or ()

    def act(world: UploadWorld) -> None:
        for key in keys:
            world.upload(key)

    return Input(given, outcome, act, runs)


def sent(given: str, outcome: str, body: object, *, run: str | None = None) -> Input:
    """A message, while the data set birds has one object without a notification."""

    def act(world: UploadWorld) -> None:
        world.cloud.put(BUCKET, "datasets/birds/1.jpg", b"a")
        world.cloud.now += 100
        world.cloud.send_message("", body if isinstance(body, str) else json.dumps(body))

    return Input(given, outcome, act, (run,) if run else ())


def notice(*, name: str = "ObjectCreated:Put", bucket: str = BUCKET, **changes: Any) -> dict[str, Any]:
    """S3's notification of datasets/birds/1.jpg, changed."""
    notification = event("s3_object_created")
    record = notification["Records"][0] | {"eventName": name} | changes.pop("record", {})
    record["s3"] = record["s3"] | {"bucket": {"name": bucket}, "object": {"key": "datasets/birds/1.jpg"} | changes}
    return notification | {"Records": [record]}


def of_two_lines(world: UploadWorld) -> None:
    world.environment = replace(world.environment, lines={"finches": ["birds*"], "boats": ["*boats"]})
    world.upload("datasets/birds-and-boats/1.jpg")


def removed(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.upload("datasets/birds/2.jpg")
    world.remove("datasets/birds/1.jpg")


def all_removed(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg")
    world.remove("datasets/birds/1.jpg")


def definition_removed(world: UploadWorld) -> None:
    world.remove(f"pipelines/{NAME}.json")


def empty(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg", "")


def without_checksum(world: UploadWorld) -> None:
    world.upload("datasets/birds/1.jpg", checksum=False)


KEYS = (
    put("letters of other alphabets, and an emoji", "datasets/zwölf möwen/日本/🐦.jpg", run="zwölf möwen"),
    put("a plus", "datasets/a+b/1+1.jpg", run="a+b"),
    put("spaces, the first and the last character too", "datasets/ birds / 1 .jpg ", run=" birds "),
    put("punctuation that a data set's name may have", "datasets/a_b.c:d=e+f-g@h/1.jpg", run="a_b.c:d=e+f-g@h"),
    put("a per cent sign, and what looks encoded", "datasets/birds/100%/%2F%41.jpg", run="birds"),
    put("quotes and what means something in XML", 'datasets/birds/it\'s "one"/<1>&amp;.jpg', run="birds"),
    put("backslashes", "datasets/birds/a\\b/..\\c.jpg", run="birds"),
    put("what means something to a shell", "datasets/birds/$(reboot)*?/[1];.jpg", run="birds"),
    put("a placeholder of definitions", "datasets/birds/${headrace:DataBucket}/1.jpg", run="birds"),
    put("a key of 1,024 bytes", f"datasets/birds/{LONG}1234567890.jpg", run="birds"),
    put("a data set's name of 255 bytes", f"datasets/{'ö' * 127}x/1.jpg", run="ö" * 127 + "x"),
    put("a data set's name of three dots", "datasets/.../1.jpg", run="..."),
    put("two names that differ in case", "datasets/Birds/1.jpg", "datasets/birds/1.jpg", run=("Birds", "birds")),
    Input("an empty object", "run", empty, ("birds",)),
    put("the S3 console's folder, and an object in it", "datasets/birds/", "datasets/birds/1.jpg", run="birds"),
    put("an archive", "datasets/birds.tar.gz", run="birds.tar.gz"),
    put("an archive in capitals", "datasets/BIRDS.ZIP", run="BIRDS.ZIP"),
    put("a folder and an archive", "datasets/birds/1.jpg", "datasets/birds.zip", run=("birds", "birds.zip")),
    put("an archive inside a data set", "datasets/birds/inner.zip", run="birds"),
    Input("an object that is removed while others stay", "run", removed, ("birds",)),
    Input("the last object is removed", "ignored", all_removed),
    put("the S3 console's folder alone", "datasets/birds/", outcome="ignored"),
    put("a file that is in no data set", "datasets/readme.txt", outcome="dead-lettered"),
    put("a folder that is named like an archive", "datasets/birds.zip/1.jpg", outcome="dead-lettered"),
    put("an archive of another kind", "datasets/birds.7z", outcome="dead-lettered"),
    put("an upload that is under way", "datasets/birds.zip.part", outcome="ignored"),
    put("what Finder leaves", "datasets/birds/.DS_Store", outcome="ignored"),
    put("an archive that is compressed otherwise", "datasets/birds.tar.xz", run="birds.tar.xz"),
    put("a data set without a name", "datasets//1.jpg", outcome="dead-lettered"),
    put("a data set named `.`", "datasets/./1.jpg", outcome="dead-lettered"),
    put("a data set named `..`", "datasets/../1.jpg", outcome="dead-lettered"),
    put("a line end in a data set's name", "datasets/bi\nrds/1.jpg", outcome="dead-lettered"),
    put("a control character in a data set's name", "datasets/bi\x01rds/1.jpg", outcome="dead-lettered"),
    put("a data set's name of 256 bytes", f"datasets/{'x' * 256}/1.jpg", outcome="dead-lettered"),
    put("another prefix", "Datasets/birds/1.jpg", outcome="ignored"),
    put("a slash before the prefix", "/datasets/birds/1.jpg", outcome="ignored"),
    put("another pipeline's definition", "pipelines/other.json", outcome="refused"),
    Input("the definition is removed", "ignored", definition_removed),
    put("a data set's name with brackets", "datasets/birds (1).zip", outcome="dead-lettered"),
    put("... with a comma", "datasets/birds, boats/1.jpg", outcome="dead-lettered"),
    put("... with an ampersand", "datasets/birds & boats/1.jpg", outcome="dead-lettered"),
    put("... with a per cent sign", "datasets/100%/1.jpg", outcome="dead-lettered"),
    put("... with a hash", "datasets/birds #1.zip", outcome="dead-lettered"),
    put("... with quotes", 'datasets/it\'s "birds"/1.jpg', outcome="dead-lettered"),
    put("... with a backslash", "datasets/a\\b/1.jpg", outcome="dead-lettered"),
    put("... with a placeholder of definitions", "datasets/${headrace:DataBucket}/1.jpg", outcome="dead-lettered"),
    put("... with an emoji", "datasets/🐦/1.jpg", outcome="dead-lettered"),
    put("... with an accent as a separate character", "datasets/mo\u0308wen/1.jpg", outcome="dead-lettered"),
    put("`..` inside a data set", "datasets/birds/../1.jpg", outcome="dead-lettered"),
    put("two slashes inside a data set", "datasets/birds/a//1.jpg", outcome="dead-lettered"),
    put("a file that is a folder, too", "datasets/birds/a", "datasets/birds/a/1.jpg", outcome="dead-lettered"),
    put("a line end in an object's name", "datasets/birds/1\n.jpg", outcome="dead-lettered"),
    put("a control character in an object's name", "datasets/birds/\x00\x1f.jpg", outcome="dead-lettered"),
    put("an object's name of 256 bytes", f"datasets/birds/{'x' * 256}", outcome="dead-lettered"),
    Input("an object without a checksum", "dead-lettered", without_checksum),
    Input("a data set whose name two model lines match", "dead-lettered", of_two_lines),
)

MESSAGES = (
    sent("S3's notification of a copy", "run", notice(name="ObjectCreated:Copy"), run="birds"),
    sent("... of a multipart upload", "run", notice(name="ObjectCreated:CompleteMultipartUpload"), run="birds"),
    sent("... of a delete marker", "run", notice(name="ObjectRemoved:DeleteMarkerCreated"), run="birds"),
    sent("... of one deleted version", "run", notice(name="ObjectRemoved:Delete", versionId="v1"), run="birds"),
    sent("... with members that are not known yet", "run", notice(colour="red", record={"x": [1]}), run="birds"),
    sent("... of another region", "run", notice(record={"awsRegion": "ap-south-1"}), run="birds"),
    sent("... of another bucket", "ignored", notice(bucket="another-bucket")),
    sent("... of a tag", "ignored", notice(name="ObjectTagging:Put")),
    sent("... of an object brought back from the archive", "ignored", notice(name="ObjectRestore:Completed")),
    sent("... of nothing", "ignored", {"Records": []}),
    sent("S3's test event", "ignored", event("s3_test_event")),
    sent("a check of a data set that is not there", "ignored", {"headrace": "check", "data_set": "boats"}),
    sent("run-again of an archive that is not there", "ignored", {"headrace": "run-again", "data_set": "boats.zip"}),
    sent("run-again of what was never run", "run", {"headrace": "run-again", "data_set": "birds"}, run="birds"),
    sent("no JSON", "dead-lettered", "datasets/birds/1.jpg"),
    sent("half a JSON", "dead-lettered", json.dumps(notice())[:200]),
    sent("a blank message", "dead-lettered", " "),
    sent("JSON that is not an object", "dead-lettered", "null"),
    sent("an object with nothing in it", "dead-lettered", {}),
    sent("a record without `s3`", "dead-lettered", {"Records": [{"eventName": "ObjectCreated:Put"}]}),
    sent("a record without a bucket", "dead-lettered", {"Records": [{"eventName": "ObjectCreated:Put", "s3": {}}]}),
    sent("a record whose key is a number", "dead-lettered", notice(key=1)),
    sent("records that are not a list", "dead-lettered", {"Records": "datasets/birds/1.jpg"}),
    sent("EventBridge's form of the notification", "dead-lettered", {"detail-type": "Object Created", "detail": {}}),
    sent(
        "SNS's envelope of the notification",
        "dead-lettered",
        {"Type": "Notification", "Message": json.dumps(notice())},
    ),
    sent("a check without a data set", "dead-lettered", {"headrace": "check"}),
    sent("a check of a path", "dead-lettered", {"headrace": "check", "data_set": "birds/a"}),
    sent("a check of half a surrogate pair", "dead-lettered", {"headrace": "check", "data_set": "\ud800"}),
    sent("a word that Headrace does not know", "dead-lettered", {"headrace": "dance", "data_set": "birds"}),
    sent("100,000 brackets", "dead-lettered", "[" * 100_000),
    sent("a number of 5,000 digits", "dead-lettered", f'{{"headrace": "check", "sent": {"1" * 5_000}}}'),
    sent("as much as a message can hold, and no sense in it", "dead-lettered", "x" * 2**20),
)  # fmt: skip
