"""What a bucket for backups must be like on each cloud, and bugs that an adapter might have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.clouds.conformance.program import Registration
from tests.simulator.aws import buckets as aws
from tests.simulator.bugs import Bug, Draft, forget, put, update
from tests.simulator.gcp import buckets as gcp
from tests.simulator.gcp.forwarding import ACCOUNT, KEY
from tests.simulator.world import World

NAME = "acme-webitel"
SECRET = "simulated-secret"
"""How the secret of every simulated key begins."""


def find_bucket_problems(cloud: str, world: World, registrations: Sequence[Registration], days: int) -> Iterator[str]:
    """What is wrong with the bucket and with who reaches it; `days` is for how long what is deleted has to stay."""
    yield from CHECKS[cloud](world, days)
    of_it = [one for one in registrations if one.type in KEPT[cloud]]
    yield from (f"{one.type} is not protected" for one in of_it if one.type == KEPT[cloud][0] and not one.protect)
    yield from (f"{one.type} goes with the deployment" for one in of_it if not one.retained)
    login = {one.name: one.given["secrets"] for one in registrations if one.type == "webitel:index:NodeConfiguration"}
    having = {name for name, secrets in login.items() if LOGIN[cloud] <= secrets.keys()}
    if having != {"all-1"}:
        yield f"the log-in is on {sorted(having)}"
    for one in registrations:
        for secret in one.secret_values:
            if SECRET in secret and any(secret in str(other.given.get("files")) for other in registrations):
                yield "the secret stands in a file's text"


def check_aws(world: World, days: int) -> Iterator[str]:
    """AWS: the bucket, its settings, and what the user of its key may do."""
    if not world.find(aws.BUCKET, NAME):
        yield "there is no bucket"
        return
    block = world.find(aws.PUBLIC_BLOCK, NAME)
    if not block or not all(block.inputs.get(name) for name in aws.PUBLIC_INPUTS):
        yield "somebody may make it public"
    versions = world.find(aws.VERSIONING, NAME)
    if not versions or versions.inputs["versioningConfiguration"]["status"] != "Enabled":
        yield "it keeps no versions"
    if not world.find(aws.ENCRYPTION, NAME):
        yield "nothing says how it is encrypted"
    ends = world.find(aws.LIFECYCLE, NAME)
    rules = [rule for rule in ends.inputs["rules"] if rule["status"] == "Enabled"] if ends else []
    kept = [one["noncurrentDays"] for rule in rules if (one := rule.get("noncurrentVersionExpiration"))]
    if kept != [days]:
        yield f"old versions stay for {kept} days, not {days}"
    if any((rule.get("expiration") or {}).get("days") for rule in rules):
        yield "backups expire by themselves"
    policy = world.find(aws.BUCKET_POLICY, NAME)
    statements = aws.read_policy(policy.inputs["policy"]) if policy else []
    if not any(
        one["Effect"] == "Deny"
        and one["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        and one["Action"] == "s3:*"
        and set(one["Resource"]) == {f"arn:aws:s3:::{NAME}", f"arn:aws:s3:::{NAME}/*"}
        for one in statements
    ):
        yield "plain http is allowed"
    user = next(iter(world.all(aws.USER)), None)
    if not user or [key.inputs["user"] for key in world.all(aws.ACCESS_KEY)] != [user.id]:
        yield "no user has its key"
        return
    bucket = f"arn:aws:s3:::{NAME}"
    for action, resource in NEEDED_OF_AWS:
        if not aws.may(world, user.id, action, resource.format(bucket)):
            yield f"the key may not {action}"
    for action, resource in FORBIDDEN_OF_AWS:
        if aws.may(world, user.id, action, resource.format(bucket)):
            yield f"the key may {action} {resource}"


NEEDED_OF_AWS = (
    *((f"s3:{name}", "{}/a/b") for name in ("PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload")),
    ("s3:ListBucket", "{}"),
    ("s3:GetBucketLocation", "{}"),
)
FORBIDDEN_OF_AWS = (
    ("s3:DeleteObjectVersion", "{}/a/b"),
    ("s3:PutObject", "arn:aws:s3:::others/a"),
    ("s3:GetObject", "arn:aws:s3:::others/a"),
    ("s3:ListAllMyBuckets", "*"),
    *(
        (f"s3:{name}", "{}")
        for name in (
            "DeleteBucket",
            "PutBucketVersioning",
            "PutLifecycleConfiguration",
            "PutBucketPolicy",
            "DeleteBucketPolicy",
            "PutBucketPublicAccessBlock",
            "PutEncryptionConfiguration",
        )
    ),
    ("iam:CreateAccessKey", "*"),
    ("ec2:TerminateInstances", "*"),
)


def check_gcp(world: World, days: int) -> Iterator[str]:
    """Google Cloud: the bucket, what is deleted in it, and what the account of its key may do."""
    bucket = world.find(gcp.BUCKET, NAME)
    if not bucket:
        yield "there is no bucket"
        return
    if bucket.get("publicAccessPrevention") != "enforced" or not bucket.get("uniformBucketLevelAccess"):
        yield "somebody may make it public"
    if bucket.get("location") != "EUROPE-WEST3":
        yield f"it is in {bucket.get('location')}"
    if (kept := bucket.get("softDeletePolicy")["retentionDurationSeconds"]) != days * gcp.DAY:
        yield f"what was deleted stays for {kept / gcp.DAY} days, not {days}"
    account = next(iter(world.all(ACCOUNT)), None)
    if not account or [key.inputs["serviceAccountId"] for key in world.all(KEY)] != [account.id]:
        yield "no account has its key"
        return
    yield from (f"everybody may {one.inputs['role']}" for one in world.all(gcp.MEMBER) if one.inputs["member"] in gcp.EVERYBODY)
    member = account.get("member")
    for right in ("get", "list", "create", "delete"):
        if not gcp.may(world, member, f"storage.objects.{right}", NAME):
            yield f"the key may not {right}"
    for right in ("buckets.update", "buckets.delete", "buckets.setIamPolicy", "objects.setIamPolicy"):
        if gcp.may(world, member, f"storage.{right}", NAME):
            yield f"the key may {right}"


def unprotect(draft: Draft) -> None:
    draft.protect = False


def let_go(draft: Draft) -> None:
    draft.retained = False


def replaced(old: str, new: str) -> Callable[[str], str]:
    """A policy with a word replaced that has to stand in it."""

    def change(policy: str) -> str:
        assert old in policy, (old, policy)
        return policy.replace(old, new)

    return change


CHECKS: Mapping[str, Callable[[World, int], Iterator[str]]] = {"aws": check_aws, "gcp": check_gcp}
KEPT: Mapping[str, tuple[str, ...]] = {"aws": (aws.BUCKET, *aws.OF_A_BUCKET), "gcp": (gcp.BUCKET,)}
"""What stays when the deployment goes, the bucket first."""
LOGIN: Mapping[str, set[str]] = {"aws": {"backup_key", "backup_secret"}, "gcp": {"backup_secret"}}
"""What nodes get of it."""
OBJECTS: Mapping[str, str] = {"aws": aws.OBJECTS, "gcp": gcp.OBJECTS}
"""What somebody has put into it."""
KEYS = (aws.ACCESS_KEY, KEY)
"""By type, what nodes log in to the bucket with."""

OLD = "rules.0.noncurrentVersionExpiration"

BUGS: Mapping[str, tuple[Bug, ...]] = {
    "aws": (
        Bug("a bucket that may be made public", ":BucketPublicAccessBlock", put("blockPublicPolicy", False)),
        Bug("no block of what is public", ":BucketPublicAccessBlock", forget),
        Bug("no versions", ":BucketVersioning", put("versioningConfiguration.status", "Suspended")),
        Bug("versions forgotten", ":BucketVersioning", forget),
        Bug("not encrypted", ":BucketServerSideEncryptionConfiguration", forget),
        Bug("old versions go at once", ":BucketLifecycleConfiguration", put(f"{OLD}.noncurrentDays", 1)),
        Bug("old versions stay for ever", ":BucketLifecycleConfiguration", put("rules.0.status", "Disabled")),
        Bug("backups expire", ":BucketLifecycleConfiguration", put("rules.0.expiration", {"days": 30})),
        Bug("plain http", ":BucketPolicy", forget),
        Bug("plain http to objects", ":BucketPolicy", put("policy", replaced("/*", ""))),
        Bug("everybody may read", ":BucketPolicy", put("policy", replaced('"Deny"', '"Allow"'))),
        Bug("policy of another bucket", ":BucketPolicy", put("policy", replaced(NAME, "others"))),
        Bug("old versions may be deleted", ":UserPolicy", put("policy", replaced("s3:DeleteObject", "s3:DeleteObjectVersion"))),
        Bug("everything may be done", ":UserPolicy", put("policy", replaced("s3:GetObject", "s3:*"))),
        Bug("every bucket", ":UserPolicy", put("policy", replaced(f":::{NAME}", ":::*"))),
        Bug("nothing expires", ":UserPolicy", put("policy", replaced("s3:DeleteObject", "s3:GetObject"))),
        Bug("no policy", ":UserPolicy", forget),
        Bug("a bucket that goes with the deployment", ":Bucket", unprotect),
        Bug("a bucket that is deleted once unprotected", ":Bucket", let_go),
        Bug("what keeps it private goes", ":BucketPublicAccessBlock", let_go),
        Bug("an input unknown to the cloud", ":Bucket", update(private=True)),
    ),
    "gcp": (
        Bug("a bucket that may be made public", ":Bucket", put("publicAccessPrevention", "inherited")),
        Bug("rights of each object", ":Bucket", put("uniformBucketLevelAccess", False)),
        Bug("deleted for good after a week", ":Bucket", put("softDeletePolicy", None)),
        Bug("deleted at once", ":Bucket", put("softDeletePolicy.retentionDurationSeconds", 0)),
        Bug("in another region", ":Bucket", put("location", "EU")),
        Bug("everybody may read", ":BucketIAMMember", put("member", "allUsers")),
        Bug("everything may be done", ":BucketIAMMember", put("role", "roles/storage.admin")),
        Bug("who may read a file may be changed", ":BucketIAMMember", put("role", "roles/storage.objectAdmin")),
        Bug("nothing expires", ":BucketIAMMember", put("role", "roles/storage.objectCreator")),
        Bug("no rights", ":BucketIAMMember", forget),
        Bug("a bucket that goes with the deployment", ":Bucket", unprotect),
        Bug("a bucket that is deleted once unprotected", ":Bucket", let_go),
        Bug("an input unknown to the cloud", ":Bucket", update(private=True)),
    ),
}
