"""What a job can reach of the machine it runs on: each row of docs/sandbox.md, tried by a probe job.

`python -m pytest tests/local_cloud/test_sandbox.py --write-sandbox` writes the table of that page.
"""

import json
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from pipeline_runs import IMAGE

from local_cloud.process import Running
from local_cloud.sagemaker.containers.launcher import is_confining

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "sandbox.md"
ONE_HOST = {"ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}}
BEGIN, END = "<!-- begin of the table that tests/local_cloud/test_sandbox.py writes -->", "<!-- end of the table -->"
Connect = Callable[[str], Any]

pytestmark = pytest.mark.skipif(not is_confining(), reason="this kernel lets nobody hide folders from his processes")

# Each probe runs in the job and prints one word or line; HOME_ and the others are paths of the host.
LIST = "try: print(sorted(os.listdir({0!r})))\nexcept OSError as error: print(error.strerror)"
READ = "try: print(open({0!r}).read()[:20])\nexcept OSError as error: print(error.strerror)"
WRITE = "try: open({0!r}, 'a').close(); print('written')\nexcept OSError as error: print(error.strerror)"


@dataclass(frozen=True)
class Row:
    what: str
    probe: str
    outcome: str
    """What the probe prints."""
    says: str
    """In the page, what that means."""
    isolated: str = "the same"
    isolated_outcome: str | None = None


@dataclass(frozen=True)
class Places:
    home: Path
    state: Path
    server: int


def rows(at: Places) -> list[Row]:
    gone = "No such file or directory"
    fixed = "Read-only file system"
    connect = (
        "import socket\ntry: socket.create_connection(('127.0.0.1', {0}), 5); print('connected')\n"
        "except OSError as error: print(error.strerror)"
    )
    certificate = str(at.state / "tls/localhost.crt")
    networks = "[name for _, name in __import__('socket').if_nameindex()]"
    jobs = str(at.state / "sagemaker/jobs")
    status = "[line.split()[1] for line in open('/proc/self/status') if line.startswith(('NoNewPrivs', 'CapBnd'))]"
    image = f"import glob\n{WRITE}".format("*").replace(
        "'*'", f"glob.glob({str(at.state)!r} + '/*/images/*')[0] + '/p'"
    )
    unmount = "subprocess.run(['umount', '/run'], capture_output=True).returncode"
    port = json.loads((at.state / "server.lock").read_text())["port"]
    return [
        Row("a file in the home of the user", READ.format(str(at.home / "headrace-probe")), gone, "not there"),
        Row("`~/.aws`", LIST.format(str(at.home / ".aws")), gone, "not there"),
        Row("writing into the home of the user", WRITE.format(str(at.home / "headrace-new")), fixed, "refused"),
        Row("the root secret of the local cloud", READ.format(str(at.state / "root-secret")), gone, "not there"),
        Row("the key of its certificate", READ.format(str(at.state / "tls/localhost.key")), gone, "not there"),
        Row("its certificate", f"print(os.path.exists({certificate!r}))", "True", "read-only", "not there", "False"),
        Row("objects of S3, past its API", LIST.format(str(at.state / "s3")), gone, "not there"),
        Row("the other jobs' folders", f"print(len(os.listdir({jobs!r})))", "1", "not there"),
        Row("the project's files", READ.format(str(ROOT / "pyproject.toml")), gone, "not there"),
        Row("its Python packages", WRITE.format(str((ROOT / ".venv").resolve() / "probe")), fixed, "read-only"),
        Row("the images' Python packages", image, fixed, "read-only"),
        Row("system files", WRITE.format("/etc/headrace-probe"), fixed, "read-only, as far as the user may read them"),
        Row("the host's `/tmp`", READ.format("/tmp/headrace-probe"), gone, "a folder of the job's own"),
        Row("the host's `/dev/shm`", READ.format("/dev/shm/headrace-probe"), gone, "memory of the job's own"),
        Row("Docker's and other sockets in `/run`", LIST.format("/run"), "[]", "not there"),
        Row("the processes of the host", "print(max(int(n) for n in os.listdir('/proc') if n.isdigit()) < 50)", "True",
            "its own alone"),
        Row("ending the server", f"try: os.kill({at.server}, 15)\nexcept OSError as error: print(error.strerror)",
            "No such process", "not there"),
        Row("new privileges by a set-user-ID program",
            f"print({status})",
            "['0000000000000000', '1']", "none"),
        Row("undoing all this with `umount`", f"print({unmount} != 0)",
            "True", "refused"),
        Row("another host's `/etc/hosts`", WRITE.format("/etc/hosts"), fixed, "read-only"),
        Row("`/opt/ml`", WRITE.format("/opt/ml/probe"), "written", "its own, writable"),
        Row("its HOME, and packages that it installs", WRITE.format("{home}/probe"), "written", "its own, writable"),
        Row("ports of this machine", connect.format(port), "connected",
            "**reachable**, as the host's network is", "not there", "Connection refused"),
        Row("the internet", f"print({networks} != ['lo'] or 'none')", "True",
            "**reachable**, if the host's is", "not there", "none"),
        Row("CPU, memory and disk", "print(os.cpu_count() > 0)", "True", "**shared**, without a limit"),
    ]  # fmt: skip


PROBE = """
import contextlib, io, json, os, subprocess, sys
answers = []
for code in {probes!r}:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code.replace("{{home}}", os.environ["HOME"]), {{"os": os, "subprocess": subprocess}})
    answers.append(said.getvalue().strip())
with open("/opt/ml/processing/out/answers.json", "w") as file:
    json.dump(answers, file)
"""


@pytest.fixture
def places(cloud: Running, tmp_path: Path) -> Iterator[Places]:
    """Where the probes look; each of these files is there on the host."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)  # not $HOME: that may be anything
    lures = [home / "headrace-probe", Path("/tmp/headrace-probe"), Path("/dev/shm/headrace-probe")]
    for lure in lures:
        lure.write_text("hunter2")
    yield Places(home, cloud.state, cloud.pid)
    for lure in lures:
        lure.unlink()


def run(connect: Connect, bucket: str, role: str, name: str, probes: list[str], *, isolated: bool = False) -> list[str]:
    connect("s3").put_object(Bucket=bucket, Key=f"{name}/code/probe.py", Body=PROBE.format(probes=probes).encode())
    code = {"S3Uri": f"s3://{bucket}/{name}/code", "LocalPath": "/opt/ml/processing/code", "S3DataType": "S3Prefix"}
    output = {"S3Uri": f"s3://{bucket}/{name}", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    sagemaker = connect("sagemaker")
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=role,
        AppSpecification={
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["python3", "/opt/ml/processing/code/probe.py"],
        },
        ProcessingInputs=[{"InputName": "code", "S3Input": {**code, "S3InputMode": "File"}}],
        ProcessingOutputConfig={"Outputs": [{"OutputName": "out", "S3Output": output}]},
        ProcessingResources=ONE_HOST,
        **({"NetworkConfig": {"EnableNetworkIsolation": True}} if isolated else {}),
    )
    deadline = time.monotonic() + 120
    while (job := sagemaker.describe_processing_job(ProcessingJobName=name))["ProcessingJobStatus"] == "InProgress":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    answers = connect("s3").get_object(Bucket=bucket, Key=f"{name}/answers.json")["Body"].read()
    found: list[str] = json.loads(answers)
    return found


def test_a_job_reaches_what_the_page_says(
    connect: Connect, bucket: str, role: str, places: Places, request: pytest.FixtureRequest
) -> None:
    table = rows(places)
    for isolated in (False, True):
        answers = run(
            connect, bucket, role, f"probe-{isolated}".lower(), [row.probe for row in table], isolated=isolated
        )
        expected = {row.what: (row.isolated_outcome if isolated else None) or row.outcome for row in table}
        assert dict(zip((row.what for row in table), answers, strict=True)) == expected
    lines = ["| of this machine | a job finds it | an isolated job |", "| --- | --- | --- |"]
    lines += [f"| {row.what} | {row.says} | {row.isolated} |" for row in table]
    text = PAGE.read_text()
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    written = f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}"
    if request.config.getoption("write_sandbox", default=False):
        PAGE.write_text(written)
        return
    assert text == written, f"{PAGE} says otherwise; --write-sandbox"


def test_a_job_ends_with_all_that_it_started(connect: Connect, bucket: str, role: str, tmp_path: Path) -> None:
    """Processes that leave its session and its group as well."""
    marker = f"sleep-{os.getpid()}-{time.time_ns()}"
    sleep = f"import time; time.sleep(600)  # {marker}"
    code = f"import sys\nsubprocess.Popen([sys.executable, '-c', {sleep!r}], start_new_session=True)"
    run(connect, bucket, role, "leaves-orphans", [code])
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert marker not in listed


ENDS = [("import sys; sys.exit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)]


@pytest.mark.parametrize(("code", "status"), ENDS)
def test_a_job_ends_as_its_command_did(connect: Connect, role: str, code: str, status: int) -> None:
    name = f"ends-{status}"
    sagemaker = connect("sagemaker")
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=role,
        AppSpecification={"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", "-c", code]},
        ProcessingResources=ONE_HOST,
    )
    deadline = time.monotonic() + 60
    while (job := sagemaker.describe_processing_job(ProcessingJobName=name))["ProcessingJobStatus"] == "InProgress":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    expected = f"exit code: {status}" if status == 7 else "SIGKILL"
    assert expected in job["FailureReason"]


def test_a_jobs_credentials_are_its_own_and_end_with_it(
    cloud: Running, connect: Connect, bucket: str, role: str
) -> None:
    """The credentials cannot be derived from the name of the role."""
    code = (
        "import json, time\nnames = ('ACCESS_KEY_ID', 'SECRET_ACCESS_KEY', 'SESSION_TOKEN')\n"
        "print(json.dumps([os.environ['AWS_' + name] for name in names]))"
    )
    found = [json.loads(run(connect, bucket, role, f"credentials-{number}", [code])[0]) for number in range(2)]
    assert len({text for keys in found for text in keys}) == 6
    for key, secret, token in found:
        sts = boto3.client(
            "sts", endpoint_url=cloud.endpoint, verify=str(cloud.certificate), region_name=cloud.region,
            aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token,
        )  # fmt: skip
        with pytest.raises(ClientError, match="InvalidClientTokenId"):
            sts.get_caller_identity()
