"""A queue keeps each message until it is deleted, and no longer, also while others send and receive concurrently."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# ministack reads its settings when it is imported, so it is in a process of its own here.
RACE = """
import asyncio, sys, threading
from ministack.services import sqs
from local_cloud.ministack import queues

queues.install()
sys.setswitchinterval(1e-6)
MESSAGES = 3_000
send, receive = sqs._HANDLERS["SendMessage"], sqs._receive_messages_for_esm
sqs._HANDLERS["CreateQueue"]({"QueueName": "dead"}, "")
dead = next(q["attributes"]["QueueArn"] for q in sqs._queues._data.values())
policy = '{"deadLetterTargetArn": "%s", "maxReceiveCount": "1000"}' % dead
url = sqs._HANDLERS["CreateQueue"]({"QueueName": "q", "Attributes": {"RedrivePolicy": policy}}, "")["QueueUrl"]
seen, sent = [], threading.Event()

def work():  # as ministack's threads do for a function that reads the queue
    while True:
        over = sent.is_set()
        batch = receive(url, 10)
        seen.extend(message["body"] for message in batch)
        sqs._delete_messages_for_esm(url, {message["receipt_handle"] for message in batch})
        if over and not batch:
            return

def look():  # as a client does that receives and deletes nothing
    for _ in range(900):
        asyncio.run(sqs._HANDLERS["ReceiveMessage"]({"QueueUrl": url, "VisibilityTimeout": 0}, url))

threads = [threading.Thread(target=work) for _ in range(3)] + [threading.Thread(target=look)]
for number in range(MESSAGES):
    if number == MESSAGES // 2:  # a long list, so that filtering it takes a while
        for thread in threads: thread.start()
    send({"QueueUrl": url, "MessageBody": str(number)}, url)
sent.set()
for thread in threads: thread.join()
left = [message["body"] for message in sqs._get_q(url)["messages"]]
print(len(set(seen)), len(seen), len(left))
"""


@pytest.mark.process
def test_no_message_is_lost_or_comes_back_when_a_function_reads_the_queue() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", RACE], cwd=root, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1:] == ["3000 3000 0"], done.stdout + done.stderr
