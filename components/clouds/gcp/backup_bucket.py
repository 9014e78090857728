"""Google Cloud: the bucket that backups go to, and the key by which the nodes reach it (`facts/backups.md` 5.2).

Google has one right to delete a current object, an earlier version and what is replaced. So versions would keep nothing from who
has the nodes' key, and the bucket has none: what is deleted or replaced in it is deleted softly, which nobody can end before its
time. The bucket outlives the deployment, so it is protected and never deleted.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from pulumi import Output, Resource, ResourceOptions
from pulumi_gcp import serviceaccount, storage

from components.clouds.gcp.accounts import name_account
from components.clouds.gcp.facts import MOST_SOFT_DAYS
from components.model.backup import BUCKET_KEY, LOGINS, keep_versions_days, list_own_buckets
from components.model.clouds.buckets import Language
from components.model.plan import Plan
from components.model.settings import Settings

NAME = "backup"
ROLE = "roles/storage.objectUser"
"""To list, read, write and delete objects: neither the bucket's settings nor who reaches it."""
DAY_SECONDS = 86_400


def create_backup_buckets(
    parent: Resource, plan: Plan, settings: Settings, labels: Mapping[str, str]
) -> Mapping[str, Output[str]]:
    """Create the buckets, and the key of the one in use; return the log-in, by the names of the secrets that nodes get."""
    made = {name: create_bucket(parent, plan, settings, name, labels) for name in list_own_buckets(settings)}
    if settings.backup.bucket not in made:
        return {}
    account = serviceaccount.Account(
        NAME,
        account_id=name_account(plan.stack, NAME),
        display_name=f"{plan.stack}: backs up",
        opts=ResourceOptions(parent=parent),
    )
    member = storage.BucketIAMMember(
        NAME, bucket=made[settings.backup.bucket].name, role=ROLE, member=account.member, opts=ResourceOptions(parent=parent)
    )
    # Nodes have it last. With another name it is a new one, and the former goes when they have it.
    generation = settings.rotate.get(BUCKET_KEY, 1)
    name = NAME if generation == 1 else f"{NAME}-{generation}"
    key = serviceaccount.Key(name, service_account_id=account.name, opts=ResourceOptions(parent=parent, depends_on=[member]))
    (secret,) = LOGINS[Language.GOOGLE]
    return {secret: Output.secret(key.private_key).apply(lambda text: base64.b64decode(text).decode())}


def create_bucket(parent: Resource, plan: Plan, settings: Settings, name: str, labels: Mapping[str, str]) -> storage.Bucket:
    """Create a bucket that nobody makes public and in which nothing is gone at once."""
    return storage.Bucket(
        name,
        name=name,
        location=plan.region.upper(),  # as Google tells it
        uniform_bucket_level_access=True,
        public_access_prevention="enforced",
        soft_delete_policy=storage.BucketSoftDeletePolicyArgs(
            retention_duration_seconds=keep_versions_days(settings, MOST_SOFT_DAYS) * DAY_SECONDS
        ),
        force_destroy=False,
        labels=labels,
        opts=ResourceOptions(parent=parent, protect=True, retain_on_delete=True),
    )
