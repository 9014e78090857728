"""AWS: the bucket that backups go to, and the key by which the nodes reach it (`facts/backups.md` 5.1).

The bucket outlives the deployment, so it is protected and never deleted, and what keeps it private and its versions with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi import Output, Resource, ResourceOptions
from pulumi_aws import iam, s3

from components.clouds.aws.policies import write_policy
from components.model.backup import BUCKET_KEY, CREDENTIALS, keep_versions_days, list_own_buckets
from components.model.settings import Settings

NAME = "backup"

ON_OBJECTS = (
    "s3:PutObject",
    "s3:GetObject",
    "s3:DeleteObject",  # of a bucket with versions: hides the newest one, and deletes none
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
ON_BUCKET = ("s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads")
"""What pgBackRest and rclone do. Neither looks at old versions, and the key may not delete them."""

UPLOAD_DAYS = 7
"""What was begun and not finished is cleared away."""


def create_backup_buckets(parent: Resource, stack: str, settings: Settings, tags: Mapping[str, str]) -> Mapping[str, Output[str]]:
    """Create the buckets, and the key of the one in use; return the log-in, by the names of the secrets that nodes get."""
    made = {name: create_bucket(parent, settings, name, tags) for name in list_own_buckets(settings)}
    if settings.backup.bucket not in made:
        return {}
    bucket, parts = made[settings.backup.bucket]
    user = iam.User(
        NAME,
        name=f"{stack}-{NAME}",
        path="/webitel/",
        force_destroy=True,  # with keys of which an interrupted `up` never learnt
        tags=tags,
        opts=ResourceOptions(parent=parent),
    )
    policy = iam.UserPolicy(
        NAME,
        name=NAME,
        user=user.name,
        policy=bucket.arn.apply(lambda arn: write_policy(allow_key(arn))),
        opts=ResourceOptions(parent=parent),
    )
    # Nodes have it last: by then the bucket is as it has to be. With another name it is a new one, and the former goes when they
    # have it.
    generation = settings.rotate.get(BUCKET_KEY, 1)
    name = NAME if generation == 1 else f"{NAME}-{generation}"
    key = iam.AccessKey(name, user=user.name, opts=ResourceOptions(parent=parent, depends_on=[policy, *parts]))
    return dict(zip(CREDENTIALS, (key.id, Output.secret(key.secret)), strict=True))


def create_bucket(parent: Resource, settings: Settings, name: str, tags: Mapping[str, str]) -> tuple[s3.Bucket, list[Resource]]:
    """Create a bucket, with what makes it private, keeps its versions and lets old ones go. That stays where the bucket does."""
    bucket = s3.Bucket(
        name,
        bucket=name,
        force_destroy=False,
        tags=tags,
        opts=ResourceOptions(parent=parent, protect=True, retain_on_delete=True),
    )

    def stays(*after: Resource) -> ResourceOptions:
        return ResourceOptions(parent=parent, retain_on_delete=True, depends_on=list(after))

    private = s3.BucketPublicAccessBlock(
        name,
        bucket=bucket.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=stays(),
    )
    versions = s3.BucketVersioning(
        name,
        bucket=bucket.id,
        versioning_configuration=s3.BucketVersioningVersioningConfigurationArgs(status="Enabled"),
        opts=stays(),
    )
    own_key = settings.disk_key
    encryption = s3.BucketServerSideEncryptionConfiguration(
        name,
        bucket=bucket.id,
        rules=[
            s3.BucketServerSideEncryptionConfigurationRuleArgs(
                apply_server_side_encryption_by_default=s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                    sse_algorithm="aws:kms" if own_key else "AES256", kms_master_key_id=own_key or None
                ),
                bucket_key_enabled=bool(own_key),
            )
        ],
        opts=stays(),
    )
    ends = s3.BucketLifecycleConfiguration(
        name,
        bucket=bucket.id,
        rules=[
            s3.BucketLifecycleConfigurationRuleArgs(
                id="old-versions",
                status="Enabled",
                filter=s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
                noncurrent_version_expiration=s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
                    noncurrent_days=keep_versions_days(settings)
                ),
                expiration=s3.BucketLifecycleConfigurationRuleExpirationArgs(expired_object_delete_marker=True),
                abort_incomplete_multipart_upload=s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                    days_after_initiation=UPLOAD_DAYS
                ),
            )
        ],
        opts=stays(versions),
    )
    # One after the other: AWS refuses two changes of who reaches a bucket at the same time.
    policy = s3.BucketPolicy(
        name, bucket=bucket.id, policy=bucket.arn.apply(lambda arn: write_policy([deny_plain_http(arn)])), opts=stays(private)
    )
    return bucket, [private, versions, encryption, ends, policy]


def deny_plain_http(bucket: str) -> dict[str, Any]:
    """Let nobody in who does not encrypt the way."""
    return {
        "Sid": "NoPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def allow_key(bucket: str) -> list[dict[str, Any]]:
    """Allow the nodes' key what backups need. `webitel:disk_key` comes and goes, and what it encrypted stays: so whatever
    encrypts this bucket, as far as that key's own policy leaves it to IAM."""
    return [
        {"Sid": "Objects", "Action": list(ON_OBJECTS), "Resource": f"{bucket}/*"},
        {"Sid": "Bucket", "Action": list(ON_BUCKET), "Resource": bucket},
        {
            "Sid": "Encryption",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]}},
        },
    ]
