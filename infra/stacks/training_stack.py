"""The architecture: what there is, and who may do what with it."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import IStackSynthesizer
from constructs import Construct

from environments.lines import declared_lines
from environments.settings import Settings
from infra.data.data_bucket import DataBucket
from infra.data.maintainer_role import MaintainerRole
from infra.data.network import Network
from infra.parts.watched_queue import WatchedQueue
from infra.registry.approver_role import ApproverRole
from infra.registry.decision_forwarding import DecisionForwarding
from infra.registry.model_registry import ModelRegistry
from infra.stacks.base_stack import BaseStack
from infra.stacks.run_cost_warning import warn_of_run_cost
from infra.training import upload_trigger
from infra.training.champion_finder import ChampionFinder
from infra.training.job_role import JobRole
from infra.training.model_line import ModelLine
from infra.training.model_storer import ModelStorer
from infra.training.pipeline_role import PipelineRole
from infra.training.published_source import PublishedSource
from infra.training.upload_trigger import UploadTrigger


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
        data = DataBucket(self, "Data", settings=settings, changes=uploads.queue)
        network = Network(self, "Network", settings=settings, data=data) if settings.network_access == "vpc" else None
        registry = ModelRegistry(
            self,
            "Registry",
            name=settings.name,
            account=settings.account,
            approval_status=settings.pipeline.model_approval_status,
            destroys=settings.destroys,
        )
        lines = [ModelLine(self, f"Line-{name}", settings=settings, line=name) for name in settings.lines]
        registries = [registry, *(line.registry for line in lines)]

        jobs = JobRole(self, "JobRole", pipelines=settings.every_pipeline, data=data, images=images, network=network)
        names = settings.names
        champion = ChampionFinder(self, "FindChampion", code=code, registries=registries, data=data)
        storer = ModelStorer(self, "StoreModel", code=code, data=data)
        pipeline = PipelineRole(
            self,
            "PipelineRole",
            names=names,
            tunes=any(trained.tuning_jobs for trained in settings.every_pipeline),
            data=data,
            jobs=jobs,
            registries=registries,
            functions=[champion.function, storer.function],
            network=network,
        )
        maintainer = MaintainerRole(self, "Maintainer", data=data)
        approver = ApproverRole(self, "Approver", data=data, registries=registries)
        source = PublishedSource(
            self,
            "Source",
            settings=settings,
            root=root,
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
            settings=settings,
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
        self.notifier.allow_to_read_runs(data, settings.names)
        notices.tell_of_runs()
        for consumer in settings.consumers:
            registry.share(consumer)
            data.share_models(consumer)
            DecisionForwarding(
                self,
                f"To-{consumer.name}",
                source=settings.name,
                registry=registry,
                consumer=consumer,
                notices=notices,
            )

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
            resource = line.clear_up_with(source.deployment, data=data, decisions=decisions.queue)
            resource.node.add_dependency(source.resource)
            source.resource.node.add_dependency(line.registry)
            for feed in feeds:
                feed.node.add_dependency(resource)
        if network:  # VPC and roles stay until SageMaker has deleted its network interfaces
            source.resource.node.add_dependency(network)
        data.reserve("models/*", to=[storer.role, source.deployment.role])  # the latter deletes, with the stack
        data.reserve("code/*", "pipelines/*", to=[maintainer.role, source.deployment.role, trigger.role])

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
