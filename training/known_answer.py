"""What a model answers for one image that is known in advance.

Before a version counts as deployed, deploy_model sends its endpoint the same image, and compares the answer with the
one that was recorded here. The model's own code answers, as in judge.py.
"""

from __future__ import annotations

import base64
import tempfile
import zipfile
from pathlib import Path

from judge import JudgeError, judge
from originals import EPOCH, Originals

# A white PNG of 2 x 2 pixels, the one of lambda/deploy_model/probe.py.
IMAGE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8//8/AwMDEwMDAwMDAwAkBgMB/DXemwAAAABJRU5ErkJggg=="
)
NOT_KNOWN = "none"
MOST_SECONDS = 300.0  # to load the model and to answer: it has answered all test images before


def known_answer(folder: Path, seconds: float) -> str:
    """`7 0.9731`: the place of the likeliest class among the sorted names of the classes, from 0, and its probability.

    "none" for a model that refuses such an image, or answers with labels alone; the log says why.
    """
    with tempfile.TemporaryDirectory() as scratch:
        archive = Path(scratch) / "images.zip"
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr(zipfile.ZipInfo("000000.png", EPOCH), IMAGE)
        one = Originals(archive, ("000000.png",), classes=(), labels=(0,), data_set="", fingerprint="")
        try:
            answers = judge(folder, one, min(seconds, MOST_SECONDS))
        except JudgeError as error:
            print(f"no answer to the endpoint's probe is recorded: {error}")
            return NOT_KNOWN
    if answers.probabilities is None:
        print("no answer to the endpoint's probe is recorded: the model's code answers with labels alone")
        return NOT_KNOWN
    probability, likeliest = max(zip(answers.probabilities[0].tolist(), answers.classes, strict=True))
    return f"{sorted(answers.classes).index(likeliest)} {probability:.4f}"
