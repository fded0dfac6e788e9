"""The virtual environments that stand for images."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local_cloud.sagemaker.images import image


def test_jobs_that_need_an_image_at_the_same_moment_all_get_it(tmp_path: Path) -> None:
    """The first run of two lanes is such a moment."""
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: image("1.dkr.ecr.us-east-1.amazonaws.com/pytorch:2.13", tmp_path), range(8)))
    assert len(found) == 1
    assert [*tmp_path.iterdir()] == [*found]  # no drafts are left
