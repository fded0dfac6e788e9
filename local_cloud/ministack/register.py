"""The patches of ministack, in the order in which they are applied."""

from local_cloud.ministack.patches import Patch

_TYPES = "services.cloudformation.provisioners:_RESOURCE_HANDLERS"
_S3_REFERENCE = "https://docs.aws.amazon.com/AmazonS3/latest/API"
_S3_GUIDE = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
_IAM_GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide"
_CLOUDFORMATION_TYPES = "https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference"
_CLOUDFORMATION_API = "https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference"


def _service(name: str) -> tuple[str, ...]:
    """The names by which ministack's gateway knows a service."""
    return (
        f"app:SERVICE_REGISTRY[{name}]",
        f"app:SERVICE_HANDLERS[{name}]",
        f"core.router:SERVICE_PATTERNS[{name}]",
    )


PATCHES = (
    Patch(
        "iam.keys",
        tuple(f"{module}:resolve_credential" for module in ("core.iam_evaluator", "services.s3", "services.sts")),
        "the root of an account has a secret key, and its signature is verified",
        f"{_IAM_GUIDE}/reference_sigv.html",
    ),
    Patch(
        "iam.keys",
        ("core.iam_evaluator:is_root_access_key", "services.sts:is_root_access_key", "core.iam_evaluator:_is_root_key"),
        "only an account's own key is its root: 'test' and AWS_ACCESS_KEY_ID were roots, and unverified",
    ),
    Patch(
        "iam.root_denials",
        ("core.iam_evaluator:enforce",),
        "a Deny in a bucket policy binds the root of the account",
        f"{_S3_GUIDE}/bucket-policies.html",
    ),
    Patch(
        "iam.sessions",
        ("core.lambda_runtime:execution_credentials", "services.lambda_svc:execution_credentials"),
        "a function's credentials are random and expire; ministack derives them from its ARN",
        f"{_IAM_GUIDE}/id_credentials_temp.html",
    ),
    Patch(
        "iam.sessions",
        ("core.lambda_runtime:Worker.invoke",),
        "a warm process keeps its credentials: they live for an hour after the last invocation",
    ),
    Patch("gateway", _service("sagemaker"), "SageMaker is a service of the gateway", adds=True),
    Patch(
        "iam.authorization",
        ("core.iam_actions:SERVICE_TO_IAM_NAMESPACE[sagemaker]",),
        "SageMaker's actions are in the namespace sagemaker",
        adds=True,
    ),
    Patch(
        "iam.authorization",
        ("core.iam_actions:extract_iam_action", "core.iam_actions:extract_resource_arn"),
        "a request to SageMaker has an action and a resource",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html",
    ),
    Patch(
        "iam.authorization",
        ("core.iam_actions:request_tag_context",),
        "cloudwatch:namespace and sagemaker:ModelApprovalStatus are in the context of a request",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html",
    ),
    Patch(
        "iam.authorization",
        ("core.iam_evaluator:_resolve_condition_key",),
        "aws:PrincipalArn of an assumed role is the role's ARN",
        f"{_IAM_GUIDE}/reference_policies_condition-keys.html",
    ),
    Patch(
        "s3.buckets",
        ("services.s3:_put_object", "services.s3:_build_object_record"),
        "the ETag of an object encrypted with a KMS key is not the MD5 of its content",
        f"{_S3_REFERENCE}/API_Object.html",
    ),
    Patch(
        "s3.buckets",
        ("services.s3:handle_request", "services.s3:_persist_object"),
        "an object that could not be written to the disk is an error; ministack answers 200 and loses it",
    ),
    Patch(
        "s3.buckets",
        (f"{_TYPES}[AWS::S3::Bucket][create]", f"{_TYPES}[AWS::S3::Bucket][update]"),
        "a bucket gets its BucketEncryption and its tags",
        f"{_CLOUDFORMATION_TYPES}/aws-resource-s3-bucket.html",
    ),
    Patch(
        "s3.buckets",
        ("services.cloudformation.provisioners:_STACK_TAG_PROPERTY[AWS::S3::Bucket]",),
        "a bucket gets the tags of its stack",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html",
        adds=True,
    ),
    Patch(
        "s3.buckets",
        (f"{_TYPES}[AWS::S3::Bucket][delete]",),
        "a bucket that is not empty cannot be deleted; ministack drops it with all versions",
        f"{_CLOUDFORMATION_TYPES}/aws-resource-s3-bucket.html",
    ),
    Patch(
        "s3.buckets",
        (f"{_TYPES}[AWS::S3::BucketPolicy][create]",),
        "a stack does not put its bucket policy over another one",
    ),
    Patch(
        "s3.buckets",
        (f"{_TYPES}[AWS::S3::BucketPolicy][import]",),
        "a bucket policy can be imported into a stack",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resource-import-supported-resources.html",
        adds=True,
    ),
    Patch(
        "s3.object_events",
        ("services.s3:_fire_s3_event_async",),
        "a few threads deliver the events; a thread for each was a third of the time of an upload of small files",
    ),
    Patch(
        "s3.large_bodies",
        (
            "app:_read_request_body",
            "app:_send_response",
            "services.s3:md5_hash",
            "services.s3:_compute_s3_checksum",
            "services.s3:_validate_content_md5",
            "services.s3:_complete_multipart_upload",
            "services.s3:_atomic_write",
            "services.s3:_persist_object",
            "services.s3:_read_body",
            "services.s3:_version_body",
            "services.s3:_get_object_data",
        ),
        "large bodies lie on the disk: an upload of 0.9 GB took 2.4 GB of memory",
    ),
    Patch(
        "s3.large_bodies",
        ("services.s3:handle_request",),
        "a body that the disk did not take is an error, after permission was asked",
    ),
    Patch(
        "s3.large_bodies",
        ("services.s3:_headrace_joined",),
        "the join of an upload's parts on the disk, for CompleteMultipartUpload",
        adds=True,
    ),
    Patch(
        "s3.identical_contents",
        ("services.s3:_atomic_write",),
        "objects with the same content take the room of one: a run stored its artifact up to four times",
    ),
    Patch(
        "s3.checksums",
        ("services.s3:_record_object_version", "services.s3:_crc64nvme"),
        "an object that was sent without a checksum gets a CRC64NVME",
        f"{_S3_GUIDE}/checking-object-integrity.html",
    ),
    Patch(
        "s3.checksums",
        ("services.s3:_copy_object",),
        "CopyObject has a ChecksumAlgorithm, and answers with the copy's checksum",
        f"{_S3_REFERENCE}/API_CopyObject.html",
    ),
    Patch(
        "cloudformation.properties",
        (f"{_TYPES}[AWS::S3::Bucket][create]", f"{_TYPES}[AWS::S3::Bucket][update]"),
        "a bucket gets its LifecycleConfiguration",
        f"{_CLOUDFORMATION_TYPES}/aws-resource-s3-bucket.html",
    ),
    Patch(
        "cloudformation.properties",
        (f"{_TYPES}[AWS::SNS::Topic][create]", f"{_TYPES}[AWS::SNS::Topic][update]"),
        "a topic gets its KmsMasterKeyId",
        f"{_CLOUDFORMATION_TYPES}/aws-resource-sns-topic.html",
    ),
    Patch(
        "s3.cross_account",
        ("services.s3:_foreign_bucket_allows", "core.iam_evaluator:evaluate_resource_policy"),
        "the policy of another account's bucket judges the role that asks, not its account",
        f"{_IAM_GUIDE}/reference_policies_evaluation-logic-cross-account.html",
    ),
    Patch(
        "s3.cross_account",
        ("services.s3:handle_request",),
        "ExpectedBucketOwner and ExpectedSourceBucketOwner are compared",
        f"{_S3_GUIDE}/bucket-owner-condition.html",
    ),
    Patch(
        "s3.cross_account",
        ("core.iam_evaluator:_resolve_condition_key",),
        "aws:ResourceAccount of a bucket is its owner's; ministack takes the caller's",
        f"{_IAM_GUIDE}/reference_policies_condition-keys.html",
    ),
    Patch(
        "event_buses",
        ("services.eventbridge:_invoke_target",),
        "a rule may send events to the bus of another account",
        "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html",
    ),
    Patch(
        "event_buses",
        (f"{_TYPES}[AWS::Events::EventBusPolicy]",),
        "the type is missing",
        f"{_CLOUDFORMATION_TYPES}/aws-resource-events-eventbuspolicy.html",
        adds=True,
    ),
    Patch(
        "cloudformation.budgets",
        (f"{_TYPES}[AWS::Budgets::Budget]",),
        "the type is missing",
        f"{_CLOUDFORMATION_TYPES}/aws-resource-budgets-budget.html",
        adds=True,
    ),
    Patch(
        "account",
        (
            *_service("servicequotas"),
            *_service("ce"),
            "core.iam_actions:SERVICE_TO_IAM_NAMESPACE[servicequotas]",
            "core.iam_actions:SERVICE_TO_IAM_NAMESPACE[ce]",
        ),
        "ministack has no Service Quotas and no Cost Explorer",
        "https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html",
        adds=True,
    ),
    Patch(
        "account",
        (
            "services.lambda_svc:_get_account_settings",
            "services.ec2:_ACTION_MAP[DescribeAvailabilityZones]",
            "services.ec2:_ACTION_MAP[DescribeRegions]",
            "services.ecr:_batch_get_image",
            "services.sns:_list_subscriptions_by_topic",
        ),
        "accounts differ in concurrency, zone ids, regions and confirmed e-mails, and have AWS's images: account.toml",
    ),
    Patch(
        "account",
        ("services.ec2:_ACTION_MAP[DescribeInstanceTypeOfferings]",),
        "ministack has no offerings of instance types",
        adds=True,
    ),
    Patch(
        "network",
        (
            f"{_TYPES}[AWS::EC2::FlowLog]",
            f"{_TYPES}[AWS::EC2::SecurityGroupIngress]",
            f"{_TYPES}[AWS::EC2::SecurityGroupEgress]",
        ),
        "the types are missing",
        f"{_CLOUDFORMATION_TYPES}/AWS_EC2.html",
        adds=True,
    ),
    Patch(
        "network",
        (f"{_TYPES}[AWS::EC2::Subnet][delete]", f"{_TYPES}[AWS::EC2::SecurityGroup][delete]"),
        "the subnet and the group of a network interface cannot be deleted",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteSecurityGroup.html",
    ),
    Patch(
        "network",
        ("services.ec2:_ACTION_MAP[DescribeNetworkInterfaces]",),
        "filters and ids select the interfaces; ministack answers with all",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeNetworkInterfaces.html",
    ),
    Patch(
        "network",
        ("core.iam_actions:request_tag_context",),
        "sagemaker:VpcSubnets and its like, and ec2:Subnet, are in the context of a request",
        "https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html",
    ),
    Patch(
        "cloudformation.physical_names",
        ("services.cloudformation.provisioners:_physical_name",),
        "generated names differ between accounts and regions; roles are global",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html",
    ),
    Patch(
        "cloudformation.physical_names",
        (f"{_TYPES}[AWS::IAM::Role][create]",),
        "a role whose name is taken is refused; ministack overwrites the other one",
        f"{_CLOUDFORMATION_TYPES}/aws-resource-iam-role.html",
    ),
    Patch(
        "cloudformation.stacks",
        tuple(
            f"services.cloudformation.handlers:_ACTION_HANDLERS[{action}]"
            for action in ("CreateStack", "UpdateStack", "CreateChangeSet")
        ),
        "undeclared parameters and a changed type of a resource are refused, and a stack keeps its RoleARN",
        f"{_CLOUDFORMATION_API}/API_CreateStack.html",
    ),
    Patch(
        "cloudformation.stacks",
        tuple(f"services.cloudformation.stacks:_{verb}_resource" for verb in ("provision", "update", "delete")),
        "a stack may do what its role may; ministack acts as the account's root",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-iam-servicerole.html",
    ),
    Patch(
        "cloudformation.stacks",
        (f"{_TYPES}[AWS::IAM::Role][create]", f"{_TYPES}[AWS::IAM::Role][update]"),
        "a role gets its PermissionsBoundary",
        f"{_CLOUDFORMATION_TYPES}/aws-resource-iam-role.html",
    ),
    Patch(
        "cloudformation.stacks",
        ("services.cloudformation.provisioners:_STACK_TAG_PROPERTY[AWS::SageMaker::ModelPackageGroup]",),
        "a model package group gets the tags of its stack",
        "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html",
        adds=True,
    ),
    Patch(
        "cloudformation.model_package_group",
        (f"{_TYPES}[AWS::SageMaker::ModelPackageGroup]",),
        "the type is missing",
        f"{_CLOUDFORMATION_TYPES}/aws-resource-sagemaker-modelpackagegroup.html",
        adds=True,
    ),
    Patch(
        "functions",
        ("core.lambda_runtime:_detect_runtime_binary",),
        "Python functions have boto3 and the standard library, and nothing else of this machine",
        "https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html",
    ),
    Patch(
        "functions",
        ("core.lambda_runtime:_PYTHON_WORKER_SCRIPT", "core.lambda_runtime:Worker._drain_stderr_bounded"),
        "what a function prints is in the log of the same invocation, even on a busy machine",
    ),
    Patch(
        "functions",
        (
            "services.lambda_svc:invalidate_worker",
            "services.lambda_svc:release_worker",
            f"{_TYPES}[AWS::Lambda::Function][delete]",
            f"{_TYPES}[AWS::Lambda::Version][delete]",
        ),
        "the process of a function ends after its invocation when the function was changed or deleted",
        "https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html",
    ),
    Patch(
        "logs",
        ("services.cloudwatch_logs:_filter_log_events",),
        "FilterLogEvents selects streams, has pages, and refuses patterns that are not understood",
        "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html",
    ),
    Patch(
        "iam.recording",
        ("core.iam_evaluator:evaluate", "core.iam_evaluator:enforce"),
        "authorizations.jsonl records the decisions; last, so that it sees what the others decide",
    ),
    Patch(
        "queues",
        (
            "services.sqs:_queues_lock",
            "services.sqs:_collect_msgs",
            "services.sqs:_dlq_sweep",
            "services.sqs:_expire_retained",
            "services.sqs:_HANDLERS[*]",
            "services.s3:_deliver_event_to_sqs",
            "services.sns:_deliver_to_sqs",
            "services.eventbridge:_dispatch_to_sqs",
        ),
        "queues change under a lock: 40 of 10,000 deleted messages came again",
    ),
    Patch(
        "alarms",
        ("services.cloudwatch:_evaluate_alarm",),
        "an alarm looks at the metric with its own dimensions",
        "https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html",
    ),
    Patch(
        "persistence",
        ("core.persistence:json", "services.sqs:copy", "services.cloudwatch_logs:copy"),
        "saving encodes in C and copies nothing: it was a third of the server's work during an upload",
    ),
)
