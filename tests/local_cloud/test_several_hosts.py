"""A training job on several instances: processes of this machine that find each other under the names of AWS."""

import base64
import io
import json
import socket
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from in_process import ROLE, InProcess, Refused
from pipeline_runs import BUCKET, IMAGE, definition, read, run, training_step, wait_for

from local_cloud import process
from local_cloud.process import Running
from local_cloud.sagemaker.containers.hosts import rendezvous_port

Connect = Callable[[str], Any]

START = (
    "exec python3 -c 'import base64, json; "
    'exec(base64.b64decode(json.load(open("/opt/ml/input/config/hyperparameters.json"))["program"]))\''
)
HERE = """
import json, os, signal, socket, sys, time
from pathlib import Path
ml = Path("/opt/ml")
resources = json.loads((ml / "input/config/resourceconfig.json").read_text())
host, hosts = resources["current_host"], resources["hosts"]
def fail(reason):
    (ml / "output/failure").write_text(reason)
    sys.exit(3)
"""


def test_the_port_to_meet_at_is_free_and_none_that_a_connection_gets() -> None:
    """A connection of another process could take it in the seconds until torchrun listens."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(50):
        port = rendezvous_port()
        assert 1024 < port < first
        with socket.socket() as listener:
            listener.bind(("", port))


def on_hosts(role: str, program: str, count: int = 2, **more: Any) -> dict[str, Any]:
    """A training step that runs the program, which knows `host` and `hosts`, on so many instances."""
    resources = {"InstanceCount": count, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
    given = {"program": base64.b64encode((HERE + program).encode()).decode()}  # an entrypoint has 256 characters a word
    return training_step(role, START, ResourceConfig=resources, HyperParameters=given, **more)


def job_of(steps: dict[str, dict[str, Any]], connect: Connect, name: str = "Train") -> dict[str, Any]:
    job = steps[name]["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1]
    description: dict[str, Any] = connect("sagemaker").describe_training_job(TrainingJobName=job)
    return description


def archive(connect: Connect, uri: str) -> dict[str, str]:
    """Content by name."""
    with tarfile.open(fileobj=io.BytesIO(read(connect("s3"), uri))) as tar:
        return {item.name: tar.extractfile(item).read().decode() for item in tar}  # type: ignore[union-attr]


MEET = """
address = (hosts[0], 8000)
if host == hosts[0]:
    with socket.create_server(address) as server:
        heard = "".join(sorted(server.accept()[0].recv(100).decode() for _ in hosts[1:]))
else:
    for _ in range(100):
        try:
            with socket.create_connection(address) as connection:
                connection.send(f"{host};".encode())
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    heard = ""
print("a line of", host)
(ml / "model" / host).write_text(json.dumps([resources, heard]))
(ml / "output/data" / f"{host}.txt").touch()
"""


def test_the_hosts_of_a_job_meet_under_their_names_and_leave_one_artifact(connect: Connect, role: str) -> None:
    """Two jobs side by side, whose first hosts listen on the same port of their own addresses."""
    text = definition(on_hosts(role, MEET, 3), on_hosts(role, MEET, 3) | {"Name": "Other"})
    execution, steps = run(connect("sagemaker"), "meeting", text, role)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    for name in ("Train", "Other"):
        uri = job_of(steps, connect, name)["ModelArtifacts"]["S3ModelArtifacts"]
        found = {name: json.loads(content) for name, content in archive(connect, uri).items()}
        assert found["algo-1"] == [
            {
                "current_host": "algo-1",
                "current_instance_type": "ml.m5.large",
                "current_group_name": "homogeneousCluster",
                "hosts": ["algo-1", "algo-2", "algo-3"],
                "instance_groups": [
                    {
                        "instance_group_name": "homogeneousCluster",
                        "instance_type": "ml.m5.large",
                        "hosts": ["algo-1", "algo-2", "algo-3"],
                    }
                ],
                "network_interface_name": "lo",
            },
            "algo-2;algo-3;",
        ]
        assert [found[host][0]["current_host"] for host in ("algo-2", "algo-3")] == ["algo-2", "algo-3"]
        outputs = archive(connect, uri.replace("model.tar.gz", "output.tar.gz"))
        assert sorted(outputs) == ["algo-1.txt", "algo-2.txt", "algo-3.txt"]


def test_every_host_has_a_log_stream(connect: Connect, role: str) -> None:
    _, steps = run(connect("sagemaker"), "streams", definition(on_hosts(role, "print('a line of', host)")), role)
    job, group = job_of(steps, connect)["TrainingJobName"], "/aws/sagemaker/TrainingJobs"
    streams = connect("logs").describe_log_streams(logGroupName=group, logStreamNamePrefix=job)["logStreams"]
    names = [stream["logStreamName"] for stream in streams]
    assert [name.removeprefix(f"{job}/")[: len("algo-1-")] for name in sorted(names)] == ["algo-1-", "algo-2-"]
    for number, name in enumerate(sorted(names), 1):
        events = connect("logs").get_log_events(logGroupName=group, logStreamName=name)["events"]
        *before, line = [event["message"] for event in events]
        assert line == f"a line of algo-{number}"
        # What stands for the image is said once.
        assert [text.partition(": ")[0] for text in before] == ([IMAGE] if number == 1 else [])


def channel(name: str, distribution: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/shared-out/", "S3DataDistributionType": distribution}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def test_a_channel_is_given_whole_to_every_host_or_shared_out_by_key(connect: Connect, role: str) -> None:
    for name in ("a", "b", "c"):
        connect("s3").put_object(Bucket=BUCKET, Key=f"shared-out/{name}", Body=b"x")
    channels = [channel("whole", "FullyReplicated"), channel("part", "ShardedByS3Key")]
    program = """
found = {name: sorted(os.listdir(ml / "input/data" / name)) for name in ("whole", "part")}
(ml / "model" / host).write_text(json.dumps(found))
"""
    _, steps = run(
        connect("sagemaker"), "shared-out", definition(on_hosts(role, program, InputDataConfig=channels)), role
    )
    found = archive(connect, job_of(steps, connect)["ModelArtifacts"]["S3ModelArtifacts"])
    one, two = (json.loads(found[host]) for host in ("algo-1", "algo-2"))
    assert one["whole"] == two["whole"] == ["a", "b", "c"]
    assert (one["part"], two["part"]) == (["a", "c"], ["b"])


def test_a_host_that_fails_ends_the_others_and_its_reason_is_the_jobs(connect: Connect, role: str) -> None:
    """The other one, which has no peer any more, fails in its turn, with a reason that explains nothing."""
    program = """
signal.signal(signal.SIGTERM, lambda *_: fail("the connection was closed"))
if host == "algo-2":
    fail("no images found")
time.sleep(100)
"""
    execution, steps = run(connect("sagemaker"), "failing-host", definition(on_hosts(role, program)), role)
    assert execution["PipelineExecutionStatus"] == "Failed"
    assert steps["Train"]["FailureReason"] == "AlgorithmError: no images found, exit code: 3"


def test_a_host_that_ends_well_is_waited_with_for_the_others(connect: Connect, role: str) -> None:
    program = """
time.sleep({"algo-1": 0, "algo-2": 1.5}[host])
(ml / "model" / host).touch()
"""
    _, steps = run(connect("sagemaker"), "slower-host", definition(on_hosts(role, program)), role)
    found = archive(connect, job_of(steps, connect)["ModelArtifacts"]["S3ModelArtifacts"])
    assert sorted(found) == ["algo-1", "algo-2"]


def test_an_interruption_reaches_every_host_and_all_find_what_each_had_saved(
    connect: Connect, role: str, cloud: Running
) -> None:
    program = """
saved = sorted(os.listdir(ml / "checkpoints"))
if saved:
    (ml / "model" / host).write_text(" ".join(saved))
    sys.exit()
def save(*_):
    (ml / "checkpoints" / f"{host}-ended").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
(ml / "checkpoints" / f"{host}-began").touch()
time.sleep(100)
"""
    spot = {
        "EnableManagedSpotTraining": True,
        "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60},
        "CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/checkpoints/hosts"},
    }
    sagemaker = connect("sagemaker")
    text = definition(on_hosts(role, program, **spot))
    sagemaker.create_pipeline(PipelineName="interrupted-hosts", PipelineDefinition=text, RoleArn=role)
    arn = sagemaker.start_pipeline_execution(PipelineName="interrupted-hosts")["PipelineExecutionArn"]
    deadline = time.monotonic() + 30
    while connect("s3").list_objects_v2(Bucket=BUCKET, Prefix="checkpoints/hosts/")["KeyCount"] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    (step,) = sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn)["PipelineExecutionSteps"]
    process.interrupt(cloud.state, step["Metadata"]["TrainingJob"]["Arn"].rsplit("/", 1)[1])
    execution, steps = wait_for(sagemaker, arn)
    assert execution["PipelineExecutionStatus"] == "Succeeded", steps
    found = archive(connect, job_of(steps, connect)["ModelArtifacts"]["S3ModelArtifacts"])
    assert found == dict.fromkeys(["algo-1", "algo-2"], "algo-1-began algo-1-ended algo-2-began algo-2-ended")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[InProcess]:
    sagemaker = InProcess(tmp_path)
    yield sagemaker
    sagemaker.service.stop()


@pytest.mark.parametrize(("resources", "reason"), [
    ({"InstanceCount": 17, "InstanceType": "ml.m5.large"}, "on 1 to 16 instances"),
    ({"InstanceCount": 0, "InstanceType": "ml.m5.large"}, "on 1 to 16 instances"),
    ({"InstanceCount": 1}, "has no InstanceType"),
    ({"InstanceGroups": [{"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 2}]},
     "does not serve ResourceConfig.InstanceGroups"),
])  # fmt: skip
def test_instances_that_are_not_served_are_refused(alone: InProcess, resources: dict[str, Any], reason: str) -> None:
    request = training_step(ROLE, "true")["Arguments"] | {"ResourceConfig": {"VolumeSizeInGB": 1} | resources}
    with pytest.raises(Refused, match=f"ValidationException: .*{reason}"):
        alone.call("CreateTrainingJob", TrainingJobName="job", **request)
