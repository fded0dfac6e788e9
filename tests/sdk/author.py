"""Headrace's pipeline, written by hand with the `sagemaker` SDK: `.venv/sagemaker/bin/python author.py < request.json`.

The request holds the pipeline's settings and the environment's bindings; the definition goes to stdout. It runs in the
SDK's own environment, imports nothing of Headrace, and follows the SDK's documentation rather than our builder.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from author_parts import channel, job_retries, pipeline_session, processing_input, service_retries
from sagemaker.core.lambda_helper import Lambda
from sagemaker.core.metadata_properties import MetadataProperties
from sagemaker.core.model_metrics import MetricsSource, ModelMetrics
from sagemaker.core.processing import Processor
from sagemaker.core.shapes import (
    CheckpointConfig,
    MetricDefinition,
    OutputDataConfig,
    ProcessingOutput,
    ProcessingS3Output,
    StoppingCondition,
    Tag,
)
from sagemaker.core.training.configs import Compute
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo, ConditionLessThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterInteger, ParameterString
from sagemaker.core.workflow.pipeline_context import PipelineSession
from sagemaker.core.workflow.properties import PropertyFile
from sagemaker.mlops.workflow.condition_step import ConditionStep
from sagemaker.mlops.workflow.fail_step import FailStep
from sagemaker.mlops.workflow.lambda_step import LambdaOutput, LambdaOutputTypeEnum, LambdaStep
from sagemaker.mlops.workflow.model_step import ModelStep
from sagemaker.mlops.workflow.pipeline import Pipeline
from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep
from sagemaker.serve.model_builder import ModelBuilder
from sagemaker.train.model_trainer import ModelTrainer

INPUT, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output"
NUMBER = r"([0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)"
LANES = {"spot": ("TrainSpot", "Spot"), "on-demand": ("TrainOnDemand", "OnDemand")}


class Author:
    """One pipeline in the making; `settings` and `bindings` are those of the request."""

    def __init__(self, settings: dict[str, Any], bindings: dict[str, str], session: PipelineSession) -> None:
        self.settings, self.bindings, self.session = settings, bindings, session
        self.lanes = {name: LANES[name] for name in LANES if settings["capacity"] in (name, "both")}
        self.cache = CacheConfig(enable_caching=True, expire_after=f"P{settings['cache_expires_after_days']}D")
        self.data_set = ParameterString("DataSet")
        self.fingerprint = ParameterString("Fingerprint")
        self.processing_type = ParameterString("ProcessingInstanceType", settings["processing_instance_type"])
        self.train_type = ParameterString("TrainInstanceType", settings["train_instance_type"])
        self.train_count = ParameterInteger("TrainInstanceCount", settings["train_instance_count"])
        self.epochs = ParameterInteger("Epochs", settings["epochs"])
        self.batch_size = ParameterInteger("BatchSize", settings["batch_size"])
        self.learning_rate = ParameterFloat("LearningRate", settings["learning_rate"])
        self.image_size = ParameterInteger("ImageSize", settings["image_size"])
        self.threshold = ParameterFloat("AccuracyThreshold", settings["accuracy_threshold"])
        self.tolerance = ParameterFloat("ChampionTolerance", settings["champion_tolerance"])
        self.macro_f1 = ParameterFloat("MacroF1Threshold", settings["macro_f1_threshold"])
        self.recall_floor = ParameterFloat("ClassRecallFloor", settings["class_recall_floor"])

    def pipeline(self) -> Pipeline:
        preprocess = self.preprocess()
        change = self.explain_change(preprocess)
        training = {name: self.train(name, preprocess, change) for name in self.lanes}
        champion = self.find_champion(list(training.values()))
        report = PropertyFile(name="Evaluation", output_name="evaluation", path="decision.json")
        evaluate = self.evaluate(preprocess, training, champion, report)
        decide = self.check_quality(training, evaluate, report)
        return Pipeline(
            name=self.bindings["PipelineName"],
            parameters=[
                *(self.data_set, self.fingerprint, self.processing_type, self.train_type, self.train_count),
                *(self.epochs, self.batch_size, self.learning_rate, self.image_size, self.threshold),
                *(self.tolerance, self.macro_f1, self.recall_floor),
            ],
            pipeline_experiment_config=None,
            steps=[preprocess, change, *training.values(), champion, evaluate, decide],
            sagemaker_session=self.session,
        )

    def preprocess(self) -> ProcessingStep:
        splits = ("train", "validation", "test", "test-files")
        arguments = [
            "preprocess.py",
            *("--data", f"{INPUT}/data"),
            *("--contents", f"{INPUT}/contents/contents.json"),
            *(word for split in splits for word in (f"--{split}", f"{OUTPUT}/{split}")),
            *("--image-size", self.image_size.to_string()),
            *("--validation-share", str(self.settings["validation_share"])),
            *("--test-share", str(self.settings["test_share"])),
            *("--seed", str(self.settings["seed"])),
            *("--max-skipped-share", str(self.settings["max_skipped_share"])),
        ]
        step_arguments = self.processor().run(
            inputs=[
                processing_input("code", self.bindings["CodeUri/preprocess.py"]),
                processing_input("data", self.manifest("objects.manifest"), "ManifestFile"),
                processing_input("contents", self.manifest("contents.json")),
            ],
            outputs=[self.processing_output("preprocess", split) for split in splits],
            arguments=arguments,
        )
        return ProcessingStep(
            "Preprocess", step_args=step_arguments, cache_config=self.cache, retry_policies=job_retries()
        )

    def explain_change(self, preprocess: ProcessingStep) -> LambdaStep:
        return LambdaStep(
            "ExplainChange",
            lambda_func=Lambda(function_arn=self.bindings["FindChampionFunctionArn"], session=self.session),
            inputs={
                "ModelPackageGroupName": self.bindings["ModelPackageGroupName"],
                "PreparedUri": preprocess.properties.ProcessingOutputConfig.Outputs["test"].S3Output.S3Uri,
                "ImageSize": self.image_size,
                "Network": self.settings["network"],
                "PipelineExecutionArn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            },
            outputs=[LambdaOutput("Change", LambdaOutputTypeEnum.String)],
        )

    def train(self, lane: str, preprocess: ProcessingStep, change: LambdaStep) -> TrainingStep:
        step_name, tag = self.lanes[lane]
        spot = lane == "spot"
        outputs = preprocess.properties.ProcessingOutputConfig.Outputs
        stop = {"max_runtime_in_seconds": self.settings["max_run_seconds"]}
        if spot:
            stop["max_wait_time_in_seconds"] = self.settings["max_run_seconds"] + self.settings["spot_wait_seconds"]
        trainer = ModelTrainer(
            training_image=self.bindings["TrainingImage"],
            role=self.bindings["JobRoleArn"],
            base_job_name=step_name,
            sagemaker_session=self.session,
            compute=Compute(
                instance_type=self.train_type,
                instance_count=self.train_count,
                volume_size_in_gb=self.settings["volume_size_gb"],
                enable_managed_spot_training=spot or None,
            ),
            stopping_condition=StoppingCondition(**stop),
            output_data_config=OutputDataConfig(
                s3_output_path=self.run_uri(f"train-{lane}"), kms_key_id=self.bindings["DataKeyArn"]
            ),
            checkpoint_config=self.checkpoints(lane) if spot else None,
            hyperparameters={
                "epochs": self.epochs.to_string(),
                "batch-size": self.batch_size.to_string(),
                "learning-rate": self.learning_rate.to_string(),
                "seed": str(self.settings["seed"]),
                "network": self.settings["network"],
                **{
                    name.replace("_", "-"): str(self.settings[name])
                    for name in ("crop", "flip_probability", "ema_decay", "checkpoint_seconds")
                },
            },
            input_data_config=[
                channel("train", outputs["train"].S3Output.S3Uri),
                channel("validation", outputs["validation"].S3Output.S3Uri),
                channel("code", self.bindings["CodeUri/train.py"]),
            ],
            tags=[Tag(key="TrainingType", value=tag)],
        ).with_metric_definitions(
            [
                MetricDefinition(name=name, regex=f"{name}={NUMBER}")
                for name in ("train:loss", "validation:loss", "validation:accuracy")
            ]
        )
        return TrainingStep(
            step_name,
            step_args=trainer.train(),
            cache_config=self.cache,
            retry_policies=job_retries(),
            depends_on=[change],
        )

    def find_champion(self, after: list[TrainingStep]) -> LambdaStep:
        return LambdaStep(
            "FindChampion",
            lambda_func=Lambda(function_arn=self.bindings["FindChampionFunctionArn"], session=self.session),
            inputs={
                "ModelPackageGroupName": self.bindings["ModelPackageGroupName"],
                "NoChampionUri": f"s3://{self.bindings['DataBucket']}/champions/none/",
                "PipelineExecutionArn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            },
            outputs=[
                LambdaOutput(name, LambdaOutputTypeEnum.Integer if "Version" in name else LambdaOutputTypeEnum.String)
                for name in ("ModelDataUrl", "ModelPackageArn", "ModelPackageVersion", "ChampionState")
            ],
            depends_on=after,
        )

    def evaluate(
        self,
        preprocess: ProcessingStep,
        training: dict[str, TrainingStep],
        champion: LambdaStep,
        report: PropertyFile,
    ) -> ProcessingStep:
        test = preprocess.properties.ProcessingOutputConfig.Outputs["test-files"].S3Output.S3Uri
        step_arguments = self.processor().run(
            inputs=[
                processing_input("code", self.bindings["CodeUri/evaluate.py"]),
                processing_input("test", test),
                *(
                    processing_input(name, step.properties.ModelArtifacts.S3ModelArtifacts)
                    for name, step in training.items()
                ),
                processing_input("champion", champion.properties.Outputs["ModelDataUrl"]),
            ],
            outputs=[self.processing_output("evaluate", name) for name in ("evaluation", "winner")],
            arguments=[
                "evaluate.py",
                *("--test", f"{INPUT}/test"),
                *(word for name in training for word in ("--candidate", f"{name}={INPUT}/{name}")),
                *("--champion", f"{INPUT}/champion"),
                *("--champion-state", champion.properties.Outputs["ChampionState"]),
                *("--champion-version", Join(on="", values=[champion.properties.Outputs["ModelPackageVersion"]])),
                *("--evaluation", f"{OUTPUT}/evaluation"),
                *("--winner", f"{OUTPUT}/winner"),
                *("--model-seconds", str(self.settings["max_run_seconds"] // (len(training) + 2))),
                *("--accuracy-threshold", self.threshold.to_string()),
                *("--champion-tolerance", self.tolerance.to_string()),
                *("--macro-f1-threshold", self.macro_f1.to_string()),
                *("--class-recall-floor", self.recall_floor.to_string()),
            ],
        )
        return ProcessingStep(
            "Evaluate",
            step_args=step_arguments,
            property_files=[report],
            cache_config=self.cache,
            retry_policies=job_retries(),
        )

    def check_quality(
        self, training: dict[str, TrainingStep], evaluate: ProcessingStep, report: PropertyFile
    ) -> ConditionStep:
        def figure(path: str) -> JsonGet:
            return JsonGet(step_name="Evaluate", property_file=report, json_path=path)

        metrics = "multiclass_classification_metrics"
        accuracy = figure(f"{metrics}.accuracy.value")
        hint = (
            ". hint: compare the per-class figures in evaluation.json; use more data or epochs, or change the setting "
            "under [<environment>.pipeline] in environments.toml."
        )
        message = Join(on="", values=["The model was not registered: ", figure("gate.refusal"), hint])
        summary = ("classes", "classes_digest", "image_size", "network", "comparison", "warnings", "probe_answer")
        figures = {
            **{"ArtifactSha256": figure("artifact.sha256"), "ArtifactBytes": figure("artifact.bytes")},
            **{"Winner": figure("winner.name"), "Accuracy": accuracy, "Improvement": figure("improvement")},
            **{name.title().replace("_", ""): figure(f"summary.{name}") for name in summary},
        }
        outputs = evaluate.properties.ProcessingOutputConfig.Outputs
        stored = LambdaStep(
            "StoreModel",
            lambda_func=Lambda(function_arn=self.bindings["StoreModelFunctionArn"], session=self.session),
            inputs={
                "ModelDataUrl": Join(on="", values=[outputs["winner"].S3Output.S3Uri, "/model.tar.gz"]),
                **{"Sha256": figure("artifact.sha256"), "Bytes": figure("artifact.bytes")},
                "PipelineExecutionArn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
            },
            outputs=[LambdaOutput(name, LambdaOutputTypeEnum.String) for name in ("ModelDataUrl", "VersionId")],
        )
        gates = (
            (accuracy, self.threshold),
            (figure("gate.champion_margin"), 0.0),
            (figure(f"{metrics}.macro_f1.value"), self.macro_f1),
            (figure("lowest_recall.value"), self.recall_floor),
        )
        given = (training, evaluate, stored, figures)
        compared = ConditionStep(
            "CheckComparison",
            conditions=[ConditionLessThanOrEqualTo(left=figure("gate.needs_person"), right=0)],
            if_steps=[self.register("RegisterModel", self.bindings["ModelApprovalStatus"], *given)],
            else_steps=[self.register("RegisterForReview", "PendingManualApproval", *given)],
            depends_on=[stored],
        )
        return ConditionStep(
            "CheckQuality",
            conditions=[ConditionGreaterThanOrEqualTo(left=left, right=right) for left, right in gates],
            if_steps=[stored, compared],
            else_steps=[FailStep("RefuseModel", error_message=message)],
        )

    def register(
        self,
        name: str,
        approval: Any,
        training: dict[str, TrainingStep],
        evaluate: ProcessingStep,
        stored: LambdaStep,
        figures: dict[str, JsonGet],
    ) -> ModelStep:
        outputs = evaluate.properties.ProcessingOutputConfig.Outputs
        types = list(self.settings["inference_instance_types"])
        builder = ModelBuilder(
            image_uri=self.bindings["InferenceImage"],
            s3_model_data_url=stored.properties.Outputs["ModelDataUrl"],
            env_vars={"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
            role_arn=self.bindings["JobRoleArn"],
            sagemaker_session=self.session,
        )
        quality = Join(on="", values=[outputs["evaluation"].S3Output.S3Uri, "/evaluation.json"])
        step_arguments = builder.register(
            model_package_group_name=self.bindings["ModelPackageGroupName"],
            content_types=[
                *(f"image/{kind}" for kind in ("jpeg", "jpg", "png", "webp", "bmp", "tiff", "gif", "avif")),
                *(f"application/{kind}" for kind in ("x-image", "octet-stream", "json")),
            ],
            response_types=["application/json"],
            inference_instances=types,
            transform_instances=types,
            approval_status=approval,
            model_metrics=ModelMetrics(model_statistics=MetricsSource(content_type="application/json", s3_uri=quality)),
            metadata_properties=MetadataProperties(generated_by=ExecutionVariables.PIPELINE_EXECUTION_ARN),
            customer_metadata_properties={
                "DataSet": self.data_set,
                "Fingerprint": self.fingerprint,
                "ArtifactVersionId": stored.properties.Outputs["VersionId"],
                "CodeHash": self.bindings["CodeHash"],
                "TrainCode": self.bindings["CodeHash/train.py"],
                "PipelineExecutionArn": ExecutionVariables.PIPELINE_EXECUTION_ARN,
                **{name: Join(on="", values=[value]) for name, value in figures.items()},
                **{f"{step.name}Job": step.properties.TrainingJobName for step in training.values()},
            },
        )
        return ModelStep(name, step_args=step_arguments, retry_policies=service_retries())

    def processor(self) -> Processor:
        unpack = f"mkdir -p /opt/ml/code && tar -xzf {INPUT}/code/source.tar.gz -C /opt/ml/code"
        return Processor(
            role=self.bindings["JobRoleArn"],
            image_uri=self.bindings["ProcessingImage"],
            instance_count=1,
            instance_type=self.processing_type,
            entrypoint=["/bin/sh", "-c", unpack + ' && exec python3 /opt/ml/code/entry.py "$@"', "entry"],
            volume_size_in_gb=self.settings["volume_size_gb"],
            output_kms_key=self.bindings["DataKeyArn"],
            max_runtime_in_seconds=self.settings["max_run_seconds"],
            sagemaker_session=self.session,
        )

    def processing_output(self, step: str, name: str) -> ProcessingOutput:
        return ProcessingOutput(
            output_name=name,
            app_managed=False,
            s3_output=ProcessingS3Output(
                s3_uri=self.run_uri(f"{step}/{name}"), local_path=f"{OUTPUT}/{name}", s3_upload_mode="EndOfJob"
            ),
        )

    def run_uri(self, folder: str) -> Join:
        values = [f"s3://{self.bindings['DataBucket']}/runs/", ExecutionVariables.PIPELINE_EXECUTION_ID, f"/{folder}"]
        return Join(on="", values=values)

    def manifest(self, file: str) -> Join:
        bucket = f"s3://{self.bindings['DataBucket']}/manifests/"
        return Join(on="", values=[bucket, self.data_set, "/", self.fingerprint, f"/{file}"])

    def checkpoints(self, lane: str) -> CheckpointConfig:
        shares = (self.settings[name] for name in ("validation_share", "test_share", "max_skipped_share"))
        uri = Join(
            on="/",
            values=[
                f"s3://{self.bindings['DataBucket']}/checkpoints/{lane}",
                self.data_set,
                self.fingerprint,
                self.bindings["CodeHash/train.py"],
                f"seed-{self.settings['seed']}-split-{'-'.join(map(str, shares))}",
                Join(on="-", values=["image", self.image_size]),
                Join(on="-", values=["epochs", self.epochs]),
                Join(on="-", values=["batch", self.batch_size]),
                Join(on="-", values=["rate", self.learning_rate.to_string()]),
                self.train_type,
                Join(on="-", values=["hosts", self.train_count]),
                "-".join(str(self.settings[name]) for name in ("network", "crop", "flip_probability", "ema_decay")),
            ],
        )
        return CheckpointConfig(s3_uri=uri, local_path="/opt/ml/checkpoints")


def main() -> None:
    request = json.load(sys.stdin)
    session = pipeline_session(request["bindings"])
    print(Author(request["settings"], request["bindings"], session).pipeline().definition())


if __name__ == "__main__":
    main()
