"""Buckets as AWS has them: opaque ETags of encrypted objects, no answer to what was not kept, and CloudFormation's
encryption, tags, deletion and policies."""

import contextvars
import secrets
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from ministack.services import s3
from ministack.services.cloudformation import provisioners


def install() -> None:
    s3._put_object, s3._build_object_record = _opaque_etags(s3._put_object, s3._build_object_record)
    s3.handle_request, s3._persist_object = _kept(s3.handle_request, s3._persist_object)
    buckets = provisioners._RESOURCE_HANDLERS["AWS::S3::Bucket"]
    buckets["create"] = _with_tags(_with_encryption(buckets["create"]), 1)
    buckets["update"] = _with_tags(buckets["update"], 2)
    provisioners._STACK_TAG_PROPERTY["AWS::S3::Bucket"] = ("Tags", "list")
    buckets["delete"] = _only_if_empty(buckets["delete"])
    policies = provisioners._RESOURCE_HANDLERS["AWS::S3::BucketPolicy"]
    policies["create"] = _only_if_missing(policies["create"])
    policies["import"] = lambda identifier: (f"{identifier['Bucket']}-policy", {})


def _opaque_etags(put: Callable[..., Any], build: Callable[..., Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The ETag of an object encrypted with a KMS key is not a hash of its content (S3's API reference, "Object").

    Code that takes it for one would work here and fail on AWS.
    """
    encrypted = contextvars.ContextVar("encrypted", default=False)

    def put_object(bucket: str, key: str, body: bytes, headers: dict[str, str]) -> Any:
        asked = headers.get("x-amz-server-side-encryption", "") == "aws:kms"
        token = encrypted.set(asked or "aws:kms" in str(s3._bucket_encryption.get(bucket)))
        try:
            return put(bucket, key, body, headers)
        finally:
            encrypted.reset(token)

    def build_object_record(body: bytes, headers: dict[str, str], etag: str | None = None, **more: Any) -> Any:
        return build(body, headers, etag=f'"{secrets.token_hex(16)}"' if encrypted.get() else etag, **more)

    return put_object, build_object_record


def _kept(handle: Callable[..., Any], persist: Callable[..., None]) -> tuple[Callable[..., Any], Callable[..., None]]:
    """ministack answers 200 to an object that it could not write to the disk, and forgets it when it ends.

    Here the answer is an error, after which S3's clients try again; the object may be seen until they do. An object
    that was persisted has no body in memory any more.
    """
    lost: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("lost", default=None)

    def persist_object(bucket: str, key: str, record: dict[str, Any]) -> None:
        persist(bucket, key, record)
        found = lost.get()
        if found is not None and record.get("body") is not None:
            found.append(f"{bucket}/{key}")

    async def handle_request(*arguments: Any, **named: Any) -> Any:
        found: list[str] = []
        token = lost.set(found)
        try:
            answer = await handle(*arguments, **named)
        finally:
            lost.reset(token)
        if found:
            message = f"The disk of the local cloud is full: {found[0]} was not kept. hint: make room"
            return s3._error("InternalError", f"{message}; df -h {s3.DATA_DIR}", 500)
        return answer

    return handle_request, persist_object


def _with_encryption(original: Callable[..., Any]) -> Callable[..., Any]:
    """ministack's CloudFormation leaves ``BucketEncryption`` out; the bucket gets it by the API's own handler."""

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        answer = original(logical_id, properties, stack_name)
        for rule in properties.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration", []):
            default = rule.get("ServerSideEncryptionByDefault", {})
            key = default.get("KMSMasterKeyID")
            if not key:  # the AWS managed key, which ministack does not have
                continue
            document = (
                f'<ServerSideEncryptionConfiguration xmlns="{s3.S3_NS}"><Rule><ApplyServerSideEncryptionByDefault>'
                f"<SSEAlgorithm>{default['SSEAlgorithm']}</SSEAlgorithm><KMSMasterKeyID>{escape(key)}</KMSMasterKeyID>"
                "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>"
            )
            s3._put_bucket_encryption(answer[0], document.encode())
        return answer

    return create


def _with_tags(original: Callable[..., Any], position: int) -> Callable[..., Any]:
    """ministack's CloudFormation leaves a bucket's tags out, and so its stack's tags too."""

    def make(*arguments: Any) -> Any:
        answer = original(*arguments)
        s3._bucket_tags[answer[0]] = {tag["Key"]: tag["Value"] for tag in arguments[position].get("Tags", [])}
        return answer

    return make


def _only_if_empty(original: Callable[..., None]) -> Callable[..., None]:
    """CloudFormation cannot delete a bucket that holds anything, be it only an old version.

    ministack would leave the bucket's folder on the disk as well, and take it for a bucket at its next start.
    """

    def delete(name: str, properties: dict[str, Any]) -> None:
        bucket = s3._buckets.get(name)
        if bucket and (bucket["objects"] or s3._bucket_has_versions(name)):
            raise ValueError(f"The bucket you tried to delete is not empty. You must delete all versions: {name}")
        original(name, properties)
        s3._delete_persisted_bucket(name)

    return delete


def _only_if_missing(original: Callable[..., Any]) -> Callable[..., Any]:
    """CloudFormation does not replace a policy that exists: a retained bucket and its policy are imported together."""

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> Any:
        if s3._bucket_policies.get(properties.get("Bucket")):
            raise ValueError(f"The bucket policy already exists on bucket {properties['Bucket']}.")
        return original(logical_id, properties, stack_name)

    return create
