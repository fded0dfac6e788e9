"""Training without an entry point, as AWS's training toolkit does it in the images of frameworks."""

from __future__ import annotations

import json
import pickle
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eventually import eventually
from pipeline_runs import BUCKET, client, free_port, make_role
from script_jobs import PYTORCH, SKLEARN, Jobs, packed
from started_processes import starts_process

from local_cloud import process
from local_cloud.process import Running

SEEN = """
import json, os, shutil, sys
import helper
found = {name: value for name, value in os.environ.items() if name.startswith("SM_")}
found |= {"arguments": sys.argv[1:], "torchrun": shutil.which("torchrun"), "pip": shutil.which("pip")}
found |= {"helper": helper.VALUE, "folder": os.getcwd(), "job": os.environ["TRAINING_JOB_NAME"]}
import PIL
found["PIL"] = PIL.__version__
json.dump(found, open(os.environ["SM_MODEL_DIR"] + "/seen.json", "w"))
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/curve.csv", "w").write("1,2")
print("accuracy=0.75")
"""


@pytest.fixture(scope="module")
@starts_process
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One without an index of packages, however this machine is connected."""
    state = tmp_path_factory.mktemp("offline") / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(tmp_path_factory.mktemp("wheels")))
        running = process.start(state, port=free_port())
    yield running
    process.stop(state)


@pytest.fixture(scope="module")
def jobs(cloud: Running) -> Jobs:
    def connect(service: str) -> Any:
        return client(cloud, service)

    connect("s3").create_bucket(Bucket=BUCKET)
    return Jobs(connect, make_role(connect("iam"), "jobs", ["s3:*", "logs:*", "cloudwatch:*"], ["*"]))


def test_a_pytorch_script_finds_what_the_toolkit_documents(jobs: Jobs) -> None:
    files = {"train.py": SEEN, "helper.py": "VALUE = 7", "requirements.txt": "pillow\n"}
    given = {
        "epochs": 3, "learning-rate": 0.5, "name": "owl", "layers": [1, 2], "b": True, "nothing": None,
        "table": {"y": 1, "x": "z"}, "sagemaker_container_log_level": 10, "sagemaker_job_name": "birds",
    }  # fmt: skip
    request = jobs.request(PYTORCH, files, given)
    request["HyperParameters"]["plain"] = "not JSON"
    request["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "accuracy", "Regex": "accuracy=([0-9.]+)"}]
    data = jobs.put(f"{request['TrainingJobName']}/data/one", "1")
    request["InputDataConfig"] = [
        {"ChannelName": "train", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": data}}}
    ]
    job = jobs.train(request)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert [point["Value"] for point in job["FinalMetricDataList"]] == [0.75]
    assert jobs.model(job, "output.tar.gz") == {"curve.csv": b"1,2"}
    seen = json.loads(jobs.model(job)["seen.json"])
    assert seen["arguments"] == [
        "-b", "True", "--epochs", "3", "--layers", "[1, 2]", "--learning-rate", "0.5", "--name", "owl",
        "--plain", "not JSON", "--table", "x=z,y=1",
    ]  # fmt: skip
    assert (seen["helper"], seen["folder"], seen["job"]) == (7, "/opt/ml/code", request["TrainingJobName"])
    assert Path(seen["torchrun"]).name == "torchrun"
    assert Path(seen["torchrun"]).parent == Path(seen["pip"]).parent
    hyperparameters = json.loads(seen["SM_HPS"])
    assert hyperparameters == {
        key: value for key, value in given.items() if value is not None and "maker_" not in key
    } | {"plain": "not JSON"}
    assert json.loads(seen["SM_USER_ARGS"]) == seen["arguments"]
    expected = {
        "SM_MODEL_DIR": "/opt/ml/model", "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data", "SM_OUTPUT_DIR": "/opt/ml/output",
        "SM_OUTPUT_INTERMEDIATE_DIR": "/opt/ml/output/intermediate", "SM_INPUT_DIR": "/opt/ml/input",
        "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config", "SM_CHANNEL_TRAIN": "/opt/ml/input/data/train",
        "SM_CHANNELS": '["train"]', "SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1", "SM_NUM_GPUS": "0",
        "SM_CURRENT_INSTANCE_TYPE": "ml.m5.large", "SM_CURRENT_INSTANCE_GROUP": "homogeneousCluster",
        "SM_LOG_LEVEL": "10", "SM_USER_ENTRY_POINT": "train.py", "SM_MODULE_NAME": "train",
        "SM_NETWORK_INTERFACE_NAME": "lo", "SM_HP_EPOCHS": "3", "SM_HP_LEARNING-RATE": "0.5", "SM_HP_NAME": "owl",
        "SM_FRAMEWORK_MODULE": "", "SM_IS_HETERO": "false",
    }  # fmt: skip
    assert {name: seen[name] for name in expected} == expected
    assert int(seen["SM_NUM_CPUS"]) >= 1
    assert not [name for name in ("SM_IS_MASTER", "SM_MASTER_HOSTNAME", "SM_JOB_NAME") if name in seen]
    assert seen["SM_MODULE_DIR"].endswith("/source/sourcedir.tar.gz")
    assert json.loads(seen["SM_RESOURCE_CONFIG"])["hosts"] == ["algo-1"]
    assert json.loads(seen["SM_INPUT_DATA_CONFIG"])["train"]["TrainingInputMode"] == "File"
    everything = json.loads(seen["SM_TRAINING_ENV"])
    assert (everything["hyperparameters"], everything["job_name"]) == (hyperparameters, request["TrainingJobName"])
    assert everything["channel_input_dirs"] == {"train": "/opt/ml/input/data/train"}
    log = jobs.log(request["TrainingJobName"])
    assert log[0].startswith(f"{PYTORCH}: runs here with Python 3.")
    assert ", torch 2." in log[0]
    assert log[-1] == "Reporting training SUCCESS"


TRAIN_SKLEARN = """
import argparse, os, pickle, sys
import numpy
from sklearn.linear_model import LogisticRegression
parser = argparse.ArgumentParser()
parser.add_argument("--model-dir", default=os.environ["SM_MODEL_DIR"])
parser.add_argument("--train", default=os.environ["SM_CHANNEL_TRAIN"])
parser.add_argument("--max-iter", type=int)
options = parser.parse_args()
table = numpy.loadtxt(options.train + "/table.csv", delimiter=",")
model = LogisticRegression(max_iter=options.max_iter).fit(table[:, 1:], table[:, 0])
pickle.dump(model, open(options.model_dir + "/model.pickle", "wb"))
"""


def test_a_scikit_learn_script_trains_a_model(jobs: Jobs) -> None:
    request = jobs.request(SKLEARN, {"train.py": TRAIN_SKLEARN}, {"max-iter": 200})
    uri = jobs.put(f"{request['TrainingJobName']}/table.csv", "0,0,1\n0,0,2\n1,5,1\n1,6,2\n")
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    request["InputDataConfig"] = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    job = jobs.train(request)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    model = pickle.loads(jobs.model(job)["model.pickle"])
    assert [*model.predict([[0, 1], [6, 1]])] == [0.0, 1.0]
    log = "\n".join(jobs.log(request["TrainingJobName"]))
    assert "runs here with Python 3." in log
    assert ", scikit-learn 1.9.1, numpy " in log
    assert "pandas: the image has it, and this job goes without it: pip could not install pandas==" in log


@pytest.mark.parametrize("archive", [False, True], ids=["a folder", "an archive"])
def test_code_in_a_channel_is_run_from_there(jobs: Jobs, archive: bool) -> None:
    """As the SDK has it for an estimator with enable_network_isolation."""
    program = "import os; print('found', sorted(os.listdir('.')), os.environ['SM_CHANNEL_CODE'])"
    source = "/opt/ml/input/data/code" + ("/sourcedir.tar.gz" if archive else "")
    request = jobs.request(
        PYTORCH, {"train.py": ""}, {"sagemaker_submit_directory": source}, EnableNetworkIsolation=True
    )
    prefix = f"{request['TrainingJobName']}/code"
    if archive:
        jobs.put(f"{prefix}/sourcedir.tar.gz", packed({"train.py": program}))
    else:
        jobs.put(f"{prefix}/train.py", program)
    uri = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}
    request["InputDataConfig"] = [{"ChannelName": "code", "DataSource": {"S3DataSource": uri}}]
    job = jobs.train(request)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert "found ['train.py'] /opt/ml/input/data/code" in jobs.log(request["TrainingJobName"])


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            {"train.py": "import sys\ntry:\n    raise ValueError('no owls')\nexcept ValueError:\n"
                         "    import traceback; traceback.print_exc(); sys.exit(3)"},
            'AlgorithmError: ExecuteUserScriptError:\nExitCode 3\nErrorMessage "ValueError: no owls"\nCommand "',
        ),
        (
            {"run.sh": "echo --$1 $2-- >&2\nexit 4"},
            'ExitCode 4\nErrorMessage "----epochs 2--"\nCommand "/bin/sh -c ./run.sh ',
        ),
        ({"a/train.py": "import os; os.kill(os.getpid(), 9)"}, "ExitCode 137"),
        (
            {"train.py": "", "requirements.txt": "owl==1.0\n"},
            "AlgorithmError: InstallRequirementsError:\nExitCode 1\n",
        ),
    ],
    ids=["a Python script", "a shell script", "a killed script", "requirements"],
)  # fmt: skip
def test_the_reason_of_a_failure_is_the_scripts_last_error(jobs: Jobs, files: dict[str, str], reason: str) -> None:
    job = jobs.train(jobs.request(PYTORCH, files, {"epochs": 2}))
    assert job["TrainingJobStatus"] == "Failed"
    assert reason in job["FailureReason"]


def test_a_script_that_is_not_in_the_archive_is_named(jobs: Jobs) -> None:
    job = jobs.train(jobs.request(PYTORCH, {"train.py": ""}, {"sagemaker_program": "trian.py"}))
    assert "the script trian.py is not in s3://" in job["FailureReason"]
    assert "which has train.py" in job["FailureReason"]


def test_an_archive_that_is_not_there_is_named(jobs: Jobs) -> None:
    missing = f"s3://{BUCKET}/nowhere/sourcedir.tar.gz"
    job = jobs.train(jobs.request(PYTORCH, {"train.py": ""}, {"sagemaker_submit_directory": missing}))
    assert job["FailureReason"].startswith(f"ClientError: Data download failed: {missing}: ")


RESUMING = """
import os, signal, sys, time
from pathlib import Path
state = Path("/opt/ml/checkpoints/state")
if state.exists():
    print("resumed from", state.read_text())
    sys.exit()
def stop(number, frame):
    state.write_text(f"signal {number}")
    sys.exit(1)
signal.signal(signal.SIGTERM, stop)
print("training")
time.sleep(60)
"""


def test_spot_capacity_that_is_taken_away_reaches_the_script(jobs: Jobs, cloud: Running) -> None:
    request = jobs.request(
        PYTORCH, {"train.py": RESUMING},
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
    )  # fmt: skip
    name = request["TrainingJobName"]
    request["CheckpointConfig"] = {"S3Uri": f"s3://{BUCKET}/{name}/checkpoints"}
    jobs.connect("sagemaker").create_training_job(**request)
    eventually("it trains", lambda: "training" in _log(jobs, name), seconds=60)
    process.interrupt(cloud.state, name)
    assert jobs.trained(name)["TrainingJobStatus"] == "Completed"
    assert "resumed from signal 15" in jobs.log(name)


def _log(jobs: Jobs, name: str) -> list[str]:
    try:
        return jobs.log(name)
    except jobs.connect("logs").exceptions.ResourceNotFoundException:
        return []


MEETING = """
import torch, torch.distributed as distributed
distributed.init_process_group("gloo")
total = torch.tensor([distributed.get_rank() + 1.0])
distributed.all_reduce(total)
print("sum", total.item(), "of", distributed.get_world_size())
distributed.destroy_process_group()
"""


@pytest.mark.parametrize("count", [1, 2])
def test_torch_distributed_runs_by_torchrun(jobs: Jobs, count: int) -> None:
    request = jobs.request(PYTORCH, {"train.py": MEETING}, {"sagemaker_torch_distributed_enabled": True})
    request["ResourceConfig"]["InstanceCount"] = count
    job = jobs.train(request)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    log = jobs.log(request["TrainingJobName"])
    assert log.count(f"sum {count * (count + 1) / 2} of {count}") == count


def test_the_scripts_of_a_framework_processor_run(jobs: Jobs) -> None:
    """They are bash, begin with `pip uninstall`, and read the code from an archive."""
    name = f"processor-{secrets.token_hex(5)}"
    runproc = (
        "#!/bin/bash\nset -e\ncd /opt/ml/processing/input/code/\ntar -xzf sourcedir.tar.gz\n"
        "pip uninstall --yes typing\npip3 install -r requirements.txt\npip --version\n"
        "python process.py --rows 3 > /opt/ml/processing/out/rows\n"
    )
    code = {"process.py": "import sys, sklearn, PIL; print(sys.argv[1:])", "requirements.txt": "pillow\n"}
    inputs = [
        ("code", jobs.put(f"{name}/code/sourcedir.tar.gz", packed(code)), "/opt/ml/processing/input/code"),
        ("entrypoint", jobs.put(f"{name}/runproc.sh", runproc), "/opt/ml/processing/input/entrypoint"),
    ]
    out = {"S3Uri": f"s3://{BUCKET}/{name}/out", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    job = jobs.process({
        "ProcessingJobName": name,
        "AppSpecification": {
            "ImageUri": SKLEARN,
            "ContainerEntrypoint": ["/bin/bash", "/opt/ml/processing/input/entrypoint/runproc.sh"],
        },
        "ProcessingInputs": [
            {"InputName": key, "S3Input": {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix"}}
            for key, uri, path in inputs
        ],
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": out}]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        "RoleArn": jobs.role,
    })  # fmt: skip
    assert job["ProcessingJobStatus"] == "Completed", (job, jobs.log(name, "ProcessingJobs"))
    found = jobs.connect("s3").get_object(Bucket=BUCKET, Key=f"{name}/out/rows")["Body"].read()
    assert found == b"['--rows', '3']\n"
    log = jobs.log(name, "ProcessingJobs")
    assert "WARNING: Skipping typing as it is not installed." in log


def test_fast_file_channels_have_the_same_paths_and_the_log_says_how(jobs: Jobs) -> None:
    request = jobs.request(PYTORCH, {"train.py": "import os; print(open('/opt/ml/input/data/slow/one').read())"})
    request["AlgorithmSpecification"]["TrainingInputMode"] = "FastFile"
    data = jobs.put(f"{request['TrainingJobName']}/data/one", "an owl")
    source = {"S3DataType": "S3Prefix", "S3Uri": data.removesuffix("one")}
    request["InputDataConfig"] = [{"ChannelName": "slow", "DataSource": {"S3DataSource": source}}]
    job = jobs.train(request)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    log = jobs.log(request["TrainingJobName"])
    assert "FastFile: slow: here all files are downloaded first, to the same paths" in log
    assert "an owl" in log


PASSES = """
import json, os
passes = []
for epoch in range(3):
    with open(f"{os.environ['SM_CHANNEL_TRAIN']}_{epoch}", "rb") as pipe:
        passes.append(len(pipe.read()) if epoch != 1 else len(pipe.read(10)))
with open("/opt/ml/input/data/train_3", "rb") as pipe:
    text = pipe.read()
found = {"passes": passes, "ends": text[:3].decode() + text[-5:].decode()}
found["folder"] = os.path.isdir("/opt/ml/input/data/train")
found["mode"] = json.loads(os.environ["SM_INPUT_DATA_CONFIG"])["train"]["TrainingInputMode"]
print(json.dumps(found))
"""


def piped(jobs: Jobs, script: str, kind: str, uri: str) -> dict[str, Any]:
    request = jobs.request(PYTORCH, {"train.py": script})
    request["AlgorithmSpecification"]["TrainingInputMode"] = "Pipe"
    source = {"S3DataType": kind, "S3Uri": uri}
    request["InputDataConfig"] = [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}]
    return request


def test_pipe_mode_gives_one_pipe_for_each_pass(jobs: Jobs) -> None:
    """A pass is all objects, larger together than a pipe holds; one that is not read to its end ends the pass."""
    folder = f"piped-{secrets.token_hex(5)}"
    for name, content in (("b", "b" * 200_000 + "the b"), ("a", "an a")):
        jobs.put(f"{folder}/{name}", content)
    request = piped(jobs, PASSES, "S3Prefix", f"s3://{BUCKET}/{folder}/")
    job = jobs.train(request)
    log = jobs.log(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), log)
    found = json.loads(next(line for line in log if line.startswith("{")))
    assert found == {"passes": [200_009, 10, 200_009], "ends": "an the b", "folder": False, "mode": "Pipe"}


def test_a_pass_that_could_not_be_read_whole_fails_the_job(jobs: Jobs) -> None:
    folder = f"piped-{secrets.token_hex(5)}"
    jobs.put(f"{folder}/here", "x")
    manifest = jobs.put(f"{folder}/list", json.dumps([{"prefix": f"s3://{BUCKET}/{folder}/"}, "here", "nowhere"]))
    script = "print(len(open('/opt/ml/input/data/train_0').read()))"
    job = jobs.train(piped(jobs, script, "ManifestFile", manifest))
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith(f"ClientError: Data download failed: s3://{BUCKET}/{folder}/nowhere: ")


def test_a_job_that_leaves_its_pipes_unread_ends(jobs: Jobs) -> None:
    folder = f"piped-{secrets.token_hex(5)}"
    jobs.put(f"{folder}/one", "x" * 200_000)
    script = "pipe = open('/opt/ml/input/data/train_0'); print('first', pipe.read(1))"
    job = jobs.train(piped(jobs, script, "S3Prefix", f"s3://{BUCKET}/{folder}/"))
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
