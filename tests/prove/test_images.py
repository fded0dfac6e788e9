"""The environments that stand for AWS's images of frameworks, with what PyPI has; skipped where no index answers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from local_cloud_in_use import mortal
from pipeline_runs import BUCKET, client, make_role
from script_jobs import REGISTRY, SKLEARN, XGBOOST, Jobs

from local_cloud.process import Running

__all__ = ["mortal"]  # a fixture of this module, beside the one below

HUGGING_FACE = f"{REGISTRY}/huggingface-pytorch-training:2.1.0-transformers4.36.0-cpu-py310-ubuntu20.04"


@pytest.fixture
def jobs(mortal: Running) -> Jobs:
    def connect(service: str) -> Any:
        return client(mortal, service)

    connect("s3").create_bucket(Bucket=BUCKET)
    return Jobs(connect, make_role(connect("iam"), "jobs", ["s3:*", "logs:*", "cloudwatch:*"], ["*"]))


@pytest.fixture(scope="module", autouse=True)
def _index(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("looked")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "0", "--timeout", "5", "six", "-d"]
    if subprocess.run([*command, str(folder)], capture_output=True).returncode != 0:
        pytest.skip("no index of packages answers")


XGBOOST_SCRIPT = """
import argparse, os
import numpy, pandas, xgboost
parser = argparse.ArgumentParser()
parser.add_argument("--num_round", type=int)
parser.add_argument("--max_depth", type=int)
options = parser.parse_args()
table = pandas.read_csv(os.environ["SM_CHANNEL_TRAIN"] + "/table.csv", header=None)
data = xgboost.DMatrix(table.iloc[:, 1:], label=table[0])
parameters = {"max_depth": options.max_depth, "objective": "binary:logistic", "nthread": 1}
seen = {}
model = xgboost.train(parameters, data, options.num_round, [(data, "train")], evals_result=seen, verbose_eval=False)
print("train:logloss=%.4f" % seen["train"]["logloss"][-1])
model.save_model(os.environ["SM_MODEL_DIR"] + "/model.json")
"""


def test_xgboost_trains_a_script_in_its_image(jobs: Jobs, mortal: Running, figure: Callable[[str], None]) -> None:
    seconds = []
    for _ in range(2):
        request = jobs.request(XGBOOST, {"train.py": XGBOOST_SCRIPT}, {"num_round": 5, "max_depth": 2})
        request["AlgorithmSpecification"]["MetricDefinitions"] = [
            {"Name": "train:logloss", "Regex": "train:logloss=([0-9.]+)"}
        ]
        rows = "".join(f"{row % 2},{row % 2 * 10 + row % 3},{row}\n" for row in range(40))
        source = {"S3DataType": "S3Prefix", "S3Uri": jobs.put(f"{request['TrainingJobName']}/table.csv", rows)}
        request["InputDataConfig"] = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
        begun = time.monotonic()
        job = jobs.train(request, seconds=240)
        seconds.append(round(time.monotonic() - begun, 1))
        log = jobs.log(request["TrainingJobName"])
        assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), log)
        (metric,) = job["FinalMetricDataList"]
        assert metric["Value"] < 0.5
        assert [*jobs.model(job)] == ["model.json"]
        assert "xgboost-cpu " in next(line for line in log if "runs here with Python" in line)
    (made,) = (mortal.state / "sagemaker/images").glob("xgboost-*")
    assert "pip: " not in "".join(log), "the environment is kept"
    figure(f"XGBoost: first and second job: {seconds} s; {size(made) / 1e6:.0f} MB on disk")


@pytest.mark.parametrize(
    ("image", "script", "shown"),
    [
        (SKLEARN, "import pandas, sklearn, scipy; print(pandas.DataFrame([1]).sum()[0])", ", pandas "),
        (
            HUGGING_FACE,
            "import torch, datasets, accelerate\n"
            "from transformers import BertConfig, BertForSequenceClassification as Model\n"
            "small = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, "
            "intermediate_size=8)\n"
            "model = Model(small)\n"
            "model(torch.tensor([[1, 2]]), labels=torch.tensor([1])).loss.backward()\n"
            "model.save_pretrained('/opt/ml/model')\n",
            ": runs here with Python",
        ),
    ],
    ids=["scikit-learn", "Hugging Face"],
)
def test_the_image_of_a_framework_has_what_its_scripts_import(
    jobs: Jobs, mortal: Running, image: str, script: str, shown: str, figure: Callable[[str], None]
) -> None:
    request = jobs.request(image, {"train.py": script})
    job = jobs.train(request, seconds=280)
    log = jobs.log(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), log)
    assert shown in next(line for line in log if "runs here with Python" in line)
    figure(f"{image}: {size(mortal.state / 'sagemaker/images') / 1e6:.0f} MB on disk")


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
