"""Models that cannot be judged, and runs that are refused before anything trains."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bad_input_disk import run_on_small_disk
from image_samples import TRAINING, pack, prepare, write_contents, write_pictures

SECTION = "Runs and models"
REASON = "output/message, which becomes the FailureReason"
JOB = 'mkdir -p "$1/code" && cp -r "$2"/*.py "$2/../data_sets" "$1/code" && cd "$1" && '
OUTPUTS = " ".join(f"--{name} {name}" for name in ("train", "validation", "test", "test-files"))
Row = Callable[..., None]


def said_by(job: Path, script: str, *words: object) -> str:
    """What a job leaves as its failure reason; the script gets the words from $4 on."""
    job.mkdir()
    command = ["sh", "-c", f"{JOB} {script} >log 2>&1; cat output/message", "sh", job, TRAINING, sys.executable, *words]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False).stdout


def test_all_that_is_wrong_with_a_run(row: Row, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 9, "blue": 2})
    contents = write_contents(data, tmp_path / "contents.json")
    script = f'"$3" code/entry.py preprocess.py --data "$4" --contents "$5" {OUTPUTS} --image-size 4'
    said = said_by(tmp_path / "ml", script, data, contents)
    row("a run with an image size of 4 pixels, and a class of two images", REASON, said)


def test_a_candidate_that_does_not_answer(row: Row, tmp_path: Path) -> None:
    data = write_pictures(tmp_path / "data", {"red": 9, "blue": 9})
    prepared = prepare(data, tmp_path / "prepared", "--image-size", "16")
    (tmp_path / "model/code").mkdir(parents=True)
    (tmp_path / "model/code/inference.py").write_text("def model_fn(folder):\n    raise OSError('no weights')\n")
    artifact = pack(tmp_path / "model", tmp_path / "artifact")
    (tmp_path / "none").mkdir()
    (tmp_path / "none/NONE").touch()
    script = (
        '"$3" code/entry.py evaluate.py --test "$4/test-files" --candidate spot="$5" --champion "$6"'
        " --evaluation evaluation --winner winner"
    )
    said = said_by(tmp_path / "ml", script, prepared, artifact, tmp_path / "none")
    row("a candidate whose own code cannot load it", REASON, said)


def test_a_full_disk_at_the_copies_of_the_test_images(row: Row, tmp_path: Path) -> None:
    data, disk = write_pictures(tmp_path / "data", {"red": 9, "blue": 9}), tmp_path / "ml"
    for image in data.rglob("*.png"):
        image.write_bytes(image.read_bytes() + bytes(600_000))  # decoders ignore what follows the end of the image
    contents = write_contents(data, tmp_path / "contents.json")
    script = f"""{JOB} TMPDIR="$1" "$3" code/entry.py preprocess.py --data "$4" --contents "$5" {OUTPUTS} \\
        --image-size 16 >/dev/null 2>&1; cat output/message"""
    said = run_on_small_disk(disk, "1m", script, disk, TRAINING, sys.executable, data, contents)
    row("a full disk at the copies of the test images: 1.2 MB on a tmpfs of 1 MiB", REASON, said, disk=disk)
