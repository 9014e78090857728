"""What a bucket for backups must be like on each cloud, and bugs that an adapter might have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.clouds.conformance.program import Registration
from tests.simulator.aws import buckets as aws
from tests.simulator.bugs import Bug, Draft, forget, put, update
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
    having = {name for name, secrets in login.items() if {"backup_key", "backup_secret"} <= secrets.keys()}
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


CHECKS: Mapping[str, Callable[[World, int], Iterator[str]]] = {"aws": check_aws}
KEPT: Mapping[str, tuple[str, ...]] = {"aws": (aws.BUCKET, *aws.OF_A_BUCKET)}
"""What stays when the deployment goes, the bucket first."""

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
}
