"""Opens the environment, calls one function for the command, and prints what went wrong."""

from __future__ import annotations

import argparse
import os
import sys

from headrace.cli.parser import build_parser
from headrace.client import lines
from headrace.client.environment import LINE_COMMANDS, Environment, open_environment
from headrace.client.model_packages import APPROVED, REJECTED
from headrace.commands import (
    adopt,
    cdk,
    compare,
    completion,
    config,
    decision,
    deletion,
    deploy_to_aws,
    evaluation,
    images,
    init,
    inspection,
    local,
    logs,
    models,
    notices,
    predict,
    projects,
    publish,
    redrive,
    repair,
    rollback,
    runs,
    status,
    stop,
    upload,
    watch,
)
from headrace.commands.doctor.command import doctor
from headrace.errors import HeadraceError, Interrupted, UsageError, from_disk
from headrace.project.folder import LOCAL, read_target
from headrace.project.local_cloud import LocalCloud, ProcessCloud
from headrace.terminal.output import Output

LOCAL_ONLY = {"up", "down", "env", "destroy", "interrupt"}
OF_NO_PROJECT = LOCAL_ONLY | {
    "adopt", "completion", "config", "deploy", "doctor", "images", "init", "projects", "publish"
}  # fmt: skip
# Where models are trained and approved; and how each is said there.
TRAINING = {
    "upload": "upload PATH",
    "watch": "watch",
    "runs": "runs",
    "run": "run --again",
    "logs": "logs",
    "approve": "approve VERSION",
    "reject": "reject VERSION",
    "rollback": "rollback",
    "stop": "stop",
    "evaluation": "evaluation",
    "compare": "compare RUN_OR_VERSION RUN_OR_VERSION",
}


def run(options: argparse.Namespace, cloud: LocalCloud | None) -> int:
    """Runs one command and returns its exit status."""
    output = Output(as_json=options.json)
    try:
        dispatch(options, output, cloud or ProcessCloud())
    except HeadraceError as error:
        output.error(error)
        return error.exit_status
    except KeyboardInterrupt:
        output.error(Interrupted("interrupted"))
        return Interrupted.exit_status
    except BrokenPipeError:
        # `headrace runs | head`: the reader has gone, and so must Python's last flush of stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        output.error(from_disk(error))
        return 1
    return 0


def dispatch(options: argparse.Namespace, output: Output, cloud: LocalCloud) -> None:
    command, name = options.command, options.env
    is_local = name == LOCAL or options.local
    if command in LOCAL_ONLY and not is_local:
        raise UsageError(
            f"{command} concerns the local cloud, and {name} is on AWS",
            hint=f"headrace --local --env {name} {command}   # {name} on this machine",
        )
    if command in OF_NO_PROJECT and options.project:
        raise UsageError(f"--project has no meaning for {command}", hint=f"leave --project {options.project} out")
    if options.line and command not in LINE_COMMANDS:
        raise UsageError(f"--line has no meaning for {command}", hint=f"leave --line {options.line} out")
    if not is_local and os.environ.get("AWS_ENDPOINT_URL"):
        output.warn(f"AWS_ENDPOINT_URL is set: talking to {os.environ['AWS_ENDPOINT_URL']}, not to AWS")
    match command:
        case "up":
            return local.up(cloud, output, port=options.port)
        case "down":
            return local.down(cloud, output)
        case "status":
            return status.status(name, cloud, output, is_local=is_local, project=options.project, line=options.line)
        case "config":
            read_target(name)  # judges the file and the environment's name
            config.show_config(name, output, setting=options.setting)
            return
        case "init":
            given = {question.option: getattr(options, question.option) for question in init.QUESTIONS}
            return init.init(name, output, given=given, data=options.data)
        case "completion":
            return completion.show_completion(build_parser(), output, shell=options.shell)
        case "doctor":
            return doctor(name, cloud, output, rehearsed=options.local)
        case "images":
            images.refuse_local(name, is_local=is_local)
        case "interrupt":
            return local.interrupt(cloud, output, job=options.job)
        case "inspect" if inspection.is_here(options.target):
            return inspection.inspect_here(name, output, target=options.target)
    environment = open_environment(name, cloud, rehearsed=options.local)
    if options.project:
        projects.choose_project(environment, options.project)
    if command in TRAINING:
        environment.require_training(TRAINING[command])
    if options.line:
        environment = environment.in_line(options.line)
    match command:
        case "env":
            assert environment.running is not None
            local.print_exports(
                environment.running, output, account=str(environment.account), region=environment.region
            )
        case "images":
            images.show_images(environment, output, pin=options.pin)
        case "deploy" if environment.running is None:
            deploy_to_aws.deploy(environment, output)
        case "deploy":
            cdk.deploy(environment, output)
        case "destroy":
            cdk.destroy(environment, output)
        case "adopt":
            adopt.adopt(environment, output)
        case "publish":
            publish.publish(environment, output)
        case "projects":
            manage_projects(options, environment, output)
        case "upload":
            upload.upload(
                environment,
                output,
                path=options.path,
                name=options.name,
                delete=options.delete,
                check=options.check,
            )
        case "inspect":
            inspection.inspect(environment, output, target=options.target)
        case "delete":
            deletion.delete(environment, output, data_set=options.data_set, confirmed=options.yes)
        case "watch":
            watch.watch(
                environment,
                output,
                name=options.execution,
                after=options.after,
                wait_for_start=options.wait_for_start,
                interval=options.interval,
                data_set=options.data_set,
            )
        case "runs":
            runs.show_runs(environment, output, limit=options.limit)
        case "run":
            runs.run_again(
                environment, output, data_set=options.data_set, again=options.again, chosen=dict(options.set)
            )
        case "redrive":
            redrive.redrive(environment, output, list_only=options.list)
        case "logs":
            logs.show_logs(
                environment,
                output,
                name=options.execution,
                step_name=options.step,
                tail=options.tail,
                follow=options.follow,
            )
        case "models":
            models.show_models(environment, output)
        case "approve":
            environment = lines.of_version(environment, options.version, f"approve {options.version}")
            decision.decide(environment, output, version=options.version, approval=APPROVED, note=options.note)
        case "reject":
            environment = lines.of_version(environment, options.version, f"reject {options.version}")
            decision.decide(environment, output, version=options.version, approval=REJECTED, note=options.note)
        case "rollback":
            if options.version is None:
                environment = lines.of_one(environment, "rollback")
            else:
                environment = lines.of_version(environment, options.version, f"rollback {options.version}")
            rollback.rollback(environment, output, version=options.version, note=options.note, dry_run=options.dry_run)
        case "repair":
            environment = lines.of_one(environment, "repair")
            repair.repair(environment, output, wait=options.wait, interval=options.interval)
        case "stop":
            stop.stop(environment, output, name=options.execution, wait=options.wait, interval=options.interval)
        case "notices":
            notices.show_notices(environment, output, limit=options.limit)
        case "evaluation":
            environment = lines.of_subject(environment, options.name, f"evaluation {options.name}")
            evaluation.show_evaluation(environment, output, name=options.name, every=options.all, csv_file=options.csv)
        case "compare":
            compare.show_comparison(environment, output, names=options.names, every=options.all)
        case "predict":
            predict.list_images(options.files)  # what cannot be sent is refused before AWS is asked
            environment = lines.of_endpoint(environment, "predict IMAGE")
            predict.predict(environment, output, files=options.files, wait=options.wait, interval=options.interval)


def manage_projects(options: argparse.Namespace, environment: Environment, output: Output) -> None:
    match options.action:
        case "list":
            return projects.show_projects(environment, output)
        case "show":
            return projects.show_project(environment, output, name=options.name)
    waiting = {"name": options.name, "wait": options.wait, "interval": options.interval}
    match options.action:
        case "create":
            projects.create(environment, output, settings=dict(options.set), description=options.description, **waiting)
        case "update":
            projects.update(environment, output, settings=dict(options.set), unset=options.unset, **waiting)
        case "delete":
            projects.delete(environment, output, **waiting)
