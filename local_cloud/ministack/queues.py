"""Queues whose deleted messages stay deleted: ministack changes a queue from several threads, most of them unlocked.

The threads that read a queue for a function delete from it under a lock; a client that receives puts its own filtered
copy of the messages in its place without. So 40 of a storm's 10,000 came again, 720 s after they had been deleted.
"""

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any

from ministack.services import eventbridge, s3, sns, sqs


def install() -> None:
    sqs._queues_lock = threading.RLock()  # callers of the functions below hold it as well
    for name in ("_collect_msgs", "_dlq_sweep", "_expire_retained"):
        setattr(sqs, name, _locked(getattr(sqs, name)))
    for action, handler in sqs._HANDLERS.items():
        if not inspect.iscoroutinefunction(handler):  # ReceiveMessage, which is made of the three above
            sqs._HANDLERS[action] = _locked(handler)
    s3._deliver_event_to_sqs = _locked(s3._deliver_event_to_sqs)
    sns._deliver_to_sqs = _locked(sns._deliver_to_sqs)
    eventbridge._dispatch_to_sqs = _locked(eventbridge._dispatch_to_sqs)


def _locked(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(*arguments: Any, **named: Any) -> Any:
        with sqs._queues_lock:
            return original(*arguments, **named)

    return call
