"""The thread that makes batches ahead, and original images that are not one split."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from image_samples import write_pictures

from errors import DataSetError
from loading import Batch, ahead, join_shards, open_source

CPU = torch.device("cpu")


def make(step: int) -> Batch:
    if step == 3:
        raise DataSetError("damaged", hint="replace it")
    return Batch(*[torch.zeros(1)] * 4)


def test_a_damaged_image_is_an_error_when_its_batch_is_wanted() -> None:
    feed = ahead(make, range(9), CPU)
    for _ in range(3):
        next(feed)
    with pytest.raises(DataSetError, match="damaged"):
        next(feed)


@pytest.mark.timeout(20)
def test_a_training_that_ends_early_does_not_wait_for_an_error_that_nobody_will_take() -> None:
    """After one batch, two more fill the queue, and the fourth fails: its error has no room."""
    feed = ahead(make, range(9), CPU)
    next(feed)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "batches")
    thread.join(1)  # long enough to come to the error
    feed.close()  # type: ignore[attr-defined]
    assert not thread.is_alive()


def test_original_images_of_several_splits_are_not_one_split(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_pictures(tmp_path / split, {"red": 2, "blue": 2})
    with pytest.raises(DataSetError, match=r"images for test and train\nhint: name the folder of one split"):
        open_source(tmp_path, CPU, 16)
    assert len(open_source(tmp_path / "train", CPU, 16)) == 4


def test_the_files_of_a_split_become_one_tensor_on_the_device() -> None:
    first, second = (np.full((count, 2, 2, 3), count, np.uint8) for count in (3, 1))
    assert torch.equal(join_shards([first, second], CPU), torch.from_numpy(np.concatenate([first, second])))
    assert np.shares_memory(join_shards([first], CPU).numpy(), first)  # one file is not copied
