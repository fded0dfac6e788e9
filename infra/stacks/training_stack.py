"""The architecture: what there is, and who may do what with it."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import IStackSynthesizer
from constructs import Construct

from environments.lines import declared_lines
from environments.network import FEWEST_ZONES
from environments.promotion import announcement_rule
from environments.settings import LOCAL, PROJECT, Settings
from infra.data.data_bucket import DataBucket
from infra.data.network import Network, first_zones
from infra.parts.arns import sagemaker_arn
from infra.parts.roles import PeopleRole, SageMakerRole
from infra.parts.watched_queue import WatchedQueue
from infra.registry.decision_forwarding import DecisionForwarding
from infra.registry.model_registry import ModelRegistry
from infra.stacks.base_stack import BaseStack
from infra.stacks.role_grants import TrainingGrants
from infra.stacks.run_cost_warning import warn_of_run_cost
from infra.training import upload_trigger
from infra.training.champion_finder import ChampionFinder
from infra.training.code_archive import code_files
from infra.training.model_line import ModelLine
from infra.training.model_storer import ModelStorer
from infra.training.published_source import PublishedSource
from infra.training.training_code import check_training_code
from infra.training.upload_trigger import UploadTrigger
from infra.training.wheels import require_wheels


class TrainingStack(BaseStack):
    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        settings: Settings,
        root: Path,
        synthesizer: IStackSynthesizer | None = None,
    ) -> None:
        purpose = "from uploaded data to a tested, approved, served model"
        super().__init__(scope, id, settings=settings, root=root, purpose=purpose, synthesizer=synthesizer)
        warn_of_run_cost(self, settings)
        images, code, notices, decisions = self.images, self.code, self.notices, self.decisions

        uploads = WatchedQueue(
            self,
            "Uploads",
            timeout=upload_trigger.TIMEOUT,
            alarm_topic=notices.alarms,
            what_is_lost="Uploads were not taken up.",
            read_by="start_pipeline",
        )
        data = DataBucket(
            self,
            "Data",
            name=settings.name,
            project=PROJECT,
            destroys=settings.destroys,
            key_arn=settings.data_key,
            changes=uploads.queue,
        )
        network = None
        if settings.network_access == "vpc":
            network = Network(
                self,
                "Network",
                zones=settings.availability_zones or first_zones(FEWEST_ZONES),
                log_retention_days=settings.log_retention_days,
                data=data,
            )
        registry = ModelRegistry(
            self,
            "Registry",
            name=settings.name,
            approval_status=settings.pipeline.model_approval_status,
            destroys=settings.destroys,
        )
        lines = [
            ModelLine(
                self,
                f"Line-{line}",
                line=line,
                name=settings.line_name(line),
                pipeline=own.pipeline,
                instances=settings.endpoint_instances(line),
                destroys=settings.destroys,
            )
            for line, own in settings.lines.items()
        ]
        registries = [registry, *(line.registry for line in lines)]

        pipelines = settings.pipeline_tables
        tunes = any(own.tuning_jobs for own in pipelines.values())
        pretrained = any(trained.pretrained for own in pipelines.values() for trained in own.trained)
        kinds = ["processing-job", "training-job"] + ["hyper-parameter-tuning-job"] * tunes
        jobs = SageMakerRole(
            self,
            "JobRole",
            description="Processing and training jobs",
            sources=[sagemaker_arn(self, kind, "*") for kind in kinds],
        )
        champion = ChampionFinder(self, "FindChampion", code=code)
        storer = ModelStorer(self, "StoreModel", code=code, data=data)
        pipeline = SageMakerRole(
            self,
            "PipelineRole",
            description="Executions of the pipeline",
            # Each line's pipeline and its executions, <name>/execution/<id>; SageMaker's guide rules out naming one.
            sources=[sagemaker_arn(self, "pipeline", part) for name in settings.names for part in (name, f"{name}/*")],
        )
        # Two roles: who changes code and definition does not approve what comes of it.
        maintainer = PeopleRole(
            self, "Maintainer", description="Uploads data, and writes pipelines/ and code/ of the data bucket"
        )
        approver = PeopleRole(
            self, "Approver", description="Approves and rejects versions of models, and reads what a decision needs"
        )
        used = (settings.processing_image, settings.training_image, settings.inference_image)
        local = settings.environment == LOCAL
        require_wheels(root / "training", () if local else used, settings.table, vpc=network is not None)
        files = code_files(root / "training", root / "data_sets")
        check_training_code(files, pipelines, settings.training_image, local=local)
        source = PublishedSource(
            self,
            "Source",
            name=settings.name,
            files=files,
            pipelines=settings.pipelines,
            capacity=settings.capacity,
            lines=lines,
            instances=f"{settings.endpoint_instance_count} x {settings.endpoint_instance_type}",
            images=used,
            parameter_defaults=settings.parameter_defaults,
            destroys=settings.destroys,
            code=code,
            data=data,
            registry=registry,
            decisions=decisions.queue,
            uploads=uploads.queue,
            network=network,
        )
        trigger = UploadTrigger(
            self,
            "StartPipeline",
            name=settings.name,
            quiet_seconds=settings.quiet_seconds,
            parameter_defaults=settings.parameter_defaults,
            tags=settings.all_tags,
            max_runs_per_day=settings.max_runs_per_day,
            max_concurrent_runs=settings.max_concurrent_runs,
            max_run_cost=settings.max_run_cost,
            prices=settings.prices,
            lines=declared_lines(settings.lines) if lines else "",
            code=code,
            data=data,
            uploads=uploads,
            notices=notices,
            pipeline_role=pipeline.role,
            image_kinds=source.image_kinds,
            bindings={
                "Account": settings.account,
                "CodeHash": source.code_hash,
                "CodeUri": source.code_uri,
                "DataBucket": data.bucket.bucket_name,
                "DataKeyArn": data.key.key_arn,
                "FindChampionFunctionArn": champion.function.function_arn,
                "StoreModelFunctionArn": storer.function.function_arn,
                "ModelApprovalStatus": settings.pipeline.model_approval_status,
                "InferenceImage": images.inference.uri,
                "JobRoleArn": jobs.role.role_arn,
                "ModelPackageGroupName": registry.group_name,
                "PipelineName": settings.name,
                "PipelineRoleArn": pipeline.role.role_arn,
                "ProcessingImage": images.processing.uri,
                "Region": settings.region,
                "TrainingImage": images.training.uri,
                **(network.bindings if network else {}),
            },
        )
        self.serve(registries=registries, data=data, markers=data, network=network)
        notices.tell_of_runs()
        for consumer in settings.consumers:
            registry.share(consumer.account, consumer.deployer_role)
            data.share_models(consumer.account, [consumer.endpoint_role, consumer.deployer_role])
            DecisionForwarding(
                self,
                f"To-{consumer.name}",
                rule_name=announcement_rule(settings.name, consumer.name),
                registry=registry,
                consumer=consumer.name,
                account=consumer.account,
                bus=consumer.bus,
                notices=notices,
            )

        grants = TrainingGrants(names=settings.names, registries=registries, data=data, network=network)
        publishes = source.deployment.role
        grants.maintainer(maintainer.role)
        grants.upload_trigger(trigger.role, uploads, notices, pipeline.role)
        grants.pipeline(pipeline.role, jobs.role, [champion, storer], tunes=tunes)
        grants.jobs(jobs.role, images, pretrained=pretrained)
        grants.champion_finder(champion.role)
        grants.model_storer(storer.role)
        grants.approver(approver.role)
        grants.notifier(self.notifier.role)
        grants.published_source(publishes, [decisions, uploads], reads=source.copied, writes=source.written)
        if settings.destroys:
            grants.source_data(publishes)

        # On destroy: the event sources stop first; then the cleanup function runs, while the roles that it needs exist.
        functions = {"start_pipeline": trigger, "find_champion": champion, "store_model": storer}
        feeds = self.watch(functions, {"start_pipeline": uploads}, lines=[line.name for line in lines])
        feeds.append(uploads.feed(trigger))
        for feed in feeds:
            feed.node.add_dependency(source.resource)
        # On update: it runs only after the functions have been updated.
        source.resource.node.add_dependency(
            data, registry, pipeline, jobs, self.endpoint, trigger.function, self.deployer.function
        )
        for line in lines:  # cleared up before the bucket is emptied: until then its jobs may write to it
            resource = line.clear_up_with(source.deployment, bucket=data.bucket.bucket_name, decisions=decisions.queue)
            grants.line_cleanup(line.cleanup_policy, line.registry, destroys=settings.destroys)
            resource.node.add_dependency(source.resource)
            source.resource.node.add_dependency(line.registry)
            for feed in feeds:
                feed.node.add_dependency(resource)
        if network:  # VPC and roles stay until SageMaker has deleted its network interfaces
            source.resource.node.add_dependency(network)
        data.reserve("models/*", to=[storer.role, publishes])  # the latter deletes, with the stack
        data.reserve("code/*", "pipelines/*", to=[maintainer.role, publishes, trigger.role])

        self.put_out(
            {
                "DataBucketName": data.bucket.bucket_name,
                "PipelineName": settings.name,
                "ModelPackageGroupName": registry.group_name,
                **({"ModelLines": declared_lines(settings.lines)} if lines else {}),
                "UploadQueueUrl": uploads.queue.queue_url,
                "UploadDeadLetterQueueUrl": uploads.dead_letters.queue_url,
                "StartPipelineFunctionName": trigger.function.function_name,
                "MaintainerRoleArn": maintainer.role.role_arn,
                "ApproverRoleArn": approver.role.role_arn,
            }
        )
