"""The nastiest keys of tests/support/trigger_inputs.py, through the real S3, SQS and Lambda."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deployed_app import deployment
from real_trigger import RealTrigger

pytestmark = pytest.mark.timeout(300)

RUN = {
    "zwölf möwen": "日本/🐦 ü.jpg",
    "a+b c@4=1:0_.": "1+1 %2F.jpg",
    "marks": "it's \"<birds>&amp;/&lt;/Key>.jpg",
    "shell": "back\\slash/$(reboot)*?#;=.jpg",
    "placeholder": "${headrace:DataBucket}.jpg",
    "long": "long/" * 199 + "12345678901.jpg",
}
UNRECORDABLE = ("möwen 🐦", "a%41", "it's \"<birds>&amp;", "back\\slash", "${headrace:DataBucket}")
REFUSED = {"slashes": "a//1.jpg", "dots": "../1.jpg", "control": "\x01.jpg", "line": "1\n.jpg"}
UNUSABLE = ("datasets/archive.zip/1.jpg", "datasets/li\nne/1.jpg", "datasets/../1.jpg", "datasets/readme.txt")


@pytest.fixture(scope="module")
def trigger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealTrigger]:
    with deployment(tmp_path_factory.mktemp("keys") / "state") as deployed:
        trigger = RealTrigger(deployed)
        trigger.define("Nothing")
        for data_set, key in (RUN | REFUSED).items():
            trigger.put(f"datasets/{data_set}/{key}")
        names = (f"datasets/{data_set}/1.jpg" for data_set in UNRECORDABLE)
        for key in ("datasets/BIRDS.ZIP", *names, *UNUSABLE):
            trigger.put(key)
        trigger.settle()
        yield trigger


def test_what_can_be_files_is_run_by_its_very_key(trigger: RealTrigger) -> None:
    assert {len(f"datasets/{data_set}/{key}".encode()) for data_set, key in RUN.items()} >= {1024}
    seen = {
        latest["data_set"]: [row[0] for row in latest["objects"]]
        for latest in trigger.documents("manifests/")
        if isinstance(latest, dict) and latest["fingerprint"] and isinstance(latest["objects"][0], list)
    }
    assert seen == {data_set: [key] for data_set, key in RUN.items()} | {"BIRDS.ZIP": ["BIRDS.ZIP"]}
    assert {run["data_set"] for run in trigger.documents("ledger/latest/")} == seen.keys()
    assert len(trigger.runs()) == len(seen)


def test_what_cannot_be_a_file_or_a_model_is_dead_lettered_with_its_reason(trigger: RealTrigger) -> None:
    messages = []
    while (
        answer := trigger.client("sqs")
        .receive_message(
            QueueUrl=trigger.deployed.environment.stack.queues[0].dead_letters_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["Reason"],
        )
        .get("Messages")
    ):
        messages += answer
    reasons = {message["MessageAttributes"]["Reason"]["StringValue"].split("\n")[0] for message in messages}
    keys = [f"datasets/{data_set}/{key}" for data_set, key in REFUSED.items()]
    assert {reason.partition(" cannot be a file")[0] for reason in reasons} >= {
        f"DataSetError: {key!r}" for key in keys
    }
    assert {reason.partition(" cannot be the name")[0] for reason in reasons} >= {
        f"DataSetError: {name!r}" for name in UNRECORDABLE
    }
    assert len([reason for reason in reasons if reason.endswith("so no run starts for it")]) == len(UNUSABLE)
    assert len(messages) == len(REFUSED) + len(UNRECORDABLE) + len(UNUSABLE)
