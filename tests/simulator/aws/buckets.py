"""AWS: buckets, who may do what in them, and access keys (`facts/backups.md` 5.1)."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from provider.server import Properties
from tests.simulator.aws.resources import OWNER, Aws, region_of
from tests.simulator.call import Call
from tests.simulator.world import Refused, Thing, World

BUCKET, USER = "aws:s3/bucket:Bucket", "aws:iam/user:User"
PUBLIC_BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
OF_A_BUCKET = (PUBLIC_BLOCK, VERSIONING, ENCRYPTION, LIFECYCLE, BUCKET_POLICY)
USER_POLICY, ACCESS_KEY = "aws:iam/userPolicy:UserPolicy", "aws:iam/accessKey:AccessKey"
PUBLIC_INPUTS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
ACTIONS = ("expiration", "noncurrentVersionExpiration", "abortIncompleteMultipartUpload")
KEYS_OF_A_USER = 2
OBJECTS = "simulated:s3:Objects"
"""What somebody has put into a bucket, with the bucket's name as id."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_KEPT_NAMES = re.compile(r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)")


class Bucket(Aws):
    """Its name is its own in the whole world, whoever has another one."""

    type = BUCKET

    def make_id(self, call: Call) -> str:
        return str(call.inputs["bucket"])

    def make(self, call: Call) -> Properties:
        name = call.inputs["bucket"]
        if not _NAME.fullmatch(name) or ".." in name or re.fullmatch(r"\d+(\.\d+){3}", name) or _KEPT_NAMES.fullmatch(name):
            raise Refused(f"InvalidBucketName: The specified bucket is not valid: {name}")
        if name in TAKEN:
            raise Refused(f"BucketAlreadyExists: The requested bucket name is not available: {name}")
        region = region_of(call)
        return {
            **super().make(call),
            "arn": f"arn:aws:s3:::{name}",
            "bucketDomainName": f"{name}.s3.amazonaws.com",
            "bucketRegion": region,
            "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
            "objectLockEnabled": bool(call.inputs.get("objectLockEnabled")),
        }

    def end(self, call: Call, thing: Thing) -> None:
        if objects := call.world.find(OBJECTS, thing.id):
            if not thing.inputs.get("forceDestroy"):
                raise Refused(f"BucketNotEmpty: The bucket you tried to delete is not empty: {thing.id}")
            call.world.drop(objects)
        for type in OF_A_BUCKET:
            if part := call.world.find(type, thing.id):
                call.world.drop(part)


TAKEN = ("backup", "test", "webitel")
"""Names that somebody else has."""


class OfBucket(Aws):
    """A setting of a bucket, one of its kind: the call that makes it puts it in the place of an earlier one."""

    mentions: ClassVar = {"bucket": BUCKET}

    def make_id(self, call: Call) -> str:
        return str(call.inputs["bucket"])

    def overwrites(self, inputs: Properties) -> bool:
        return True


class PublicAccessBlock(OfBucket):
    type = PUBLIC_BLOCK


class Versioning(OfBucket):
    type = VERSIONING

    def make(self, call: Call) -> Properties:
        if call.is_changed("versioningConfiguration.status") and call.inputs["versioningConfiguration"]["status"] == "Disabled":
            raise Refused("versioning_configuration.status cannot be updated from 'Enabled' to 'Disabled'")
        return super().make(call)


class Encryption(OfBucket):
    type = ENCRYPTION

    def make(self, call: Call) -> Properties:
        for rule in call.inputs["rules"]:
            default = rule.get("applyServerSideEncryptionByDefault") or {}
            if default.get("kmsMasterKeyId") and default.get("sseAlgorithm") == "AES256":
                raise Refused("InvalidArgument: a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms")
        return super().make(call)


class Lifecycle(OfBucket):
    type = LIFECYCLE

    def make(self, call: Call) -> Properties:
        for rule in call.inputs.get("rules") or []:
            if not any(rule.get(what) for what in ACTIONS):
                raise Refused("InvalidRequest: At least one action needs to be specified in a rule")
            ends = rule.get("expiration") or {}
            if ends.get("days") and ends.get("expiredObjectDeleteMarker"):
                raise Refused("MalformedXML: ExpiredObjectDeleteMarker cannot be specified with Days or Date")
        return {**super().make(call), "transitionDefaultMinimumObjectSize": "all_storage_classes_128K"}


class BucketPolicy(OfBucket):
    """Refused where it lets everybody in and the bucket's block forbids that."""

    type = BUCKET_POLICY

    def make(self, call: Call) -> Properties:
        name = call.inputs["bucket"]
        for statement in read_policy(call.inputs["policy"]):
            if "Principal" not in statement:
                raise Refused("MalformedPolicy: Missing required field Principal")
            for resource in as_list(statement.get("Resource")):
                if not re.fullmatch(rf"arn:aws[a-z-]*:s3:::{re.escape(name)}(/.*)?", resource):
                    raise Refused(f"MalformedPolicy: Policy has invalid resource: {resource}")
            block = call.world.find(PUBLIC_BLOCK, name)
            public = statement["Effect"] == "Allow" and statement["Principal"] in ("*", {"AWS": "*"})
            if public and block and block.inputs.get("blockPublicPolicy"):
                raise Refused("AccessDenied: public policies are prevented by the BlockPublicPolicy setting")
        return super().make(call)


class User(Aws):
    """A name is one user's in the whole account. One with a policy never goes, one with a key where that may be
    deleted first."""

    type = USER

    def make_id(self, call: Call) -> str:
        return str(call.inputs["name"])

    def make(self, call: Call) -> Properties:
        path = call.inputs.get("path") or "/"
        if not re.fullmatch(r"/(.*/)?", path):
            raise Refused(f"ValidationError: the path {path} must begin and end with a slash")
        return {
            **super().make(call),
            "arn": f"arn:aws:iam::{OWNER}:user{path}{call.inputs['name']}",
            "uniqueId": call.lasting("uniqueId", "AIDA{:016d}".format),
        }

    def end(self, call: Call, thing: Thing) -> None:
        if any(one.inputs["user"] == thing.id for one in call.world.all(USER_POLICY)):
            raise Refused("DeleteConflict: Cannot delete entity, must delete policies first.")
        for key in call.world.all(ACCESS_KEY):
            if key.inputs["user"] == thing.id:
                if not thing.inputs.get("forceDestroy"):
                    raise Refused("DeleteConflict: Cannot delete entity, must delete access keys first.")
                call.world.drop(key)


class UserPolicy(Aws):
    type = USER_POLICY
    mentions: ClassVar = {"user": USER}

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['user']}:{call.inputs['name']}"

    def overwrites(self, inputs: Properties) -> bool:
        return True

    def make(self, call: Call) -> Properties:
        for statement in read_policy(call.inputs["policy"]):
            if "Principal" in statement or not {"Effect", "Action", "Resource"} <= statement.keys():
                raise Refused("MalformedPolicyDocument: Syntax errors in policy.")
        return {}


class AccessKey(Aws):
    """Two a user; whoever makes one learns its secret, and nobody later."""

    type = ACCESS_KEY
    mentions: ClassVar = {"user": USER}
    untold: ClassVar = ("secret", "sesSmtpPasswordV4")

    def make_id(self, call: Call) -> str:
        return f"AKIA{call.number():016d}"

    def make(self, call: Call) -> Properties:
        others = [one for one in call.world.all(ACCESS_KEY) if one.inputs["user"] == call.inputs["user"] and one.id != call.id]
        if len(others) >= KEYS_OF_A_USER:
            raise Refused(f"LimitExceeded: Cannot exceed quota for AccessKeysPerUser: {KEYS_OF_A_USER}")
        return {
            "secret": call.lasting("secret", "simulated-secret-{:025d}".format),
            "createDate": call.outputs.get("createDate") or "2026-11-30T00:00:00Z",
        }


def read_policy(text: str) -> list[dict[str, Any]]:
    """The statements of a policy; refused where it is none."""
    try:
        found = json.loads(text)
        statements = found["Statement"]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused("MalformedPolicy: This policy contains invalid Json") from error
    if found.get("Version") != "2012-10-17":
        raise Refused("MalformedPolicy: The policy must contain a valid version string")
    return [statements] if isinstance(statements, dict) else list(statements)


def as_list(value: Any) -> list[str]:
    """One text as a list."""
    return [value] if isinstance(value, str) else list(value or ())


def may(world: World, user: str, action: str, resource: str) -> bool:
    """Whether the policies of a user's own let it do that."""
    allowed = False
    for policy in world.all(USER_POLICY):
        for statement in read_policy(policy.inputs["policy"]) if policy.inputs["user"] == user else ():
            actions, resources = (as_list(statement[what]) for what in ("Action", "Resource"))
            fits = any(fnmatchcase(action.lower(), one.lower()) for one in actions)
            fits &= any(fnmatchcase(resource, one) for one in resources)
            if fits and statement["Effect"] == "Deny":
                return False
            allowed |= fits
    return allowed


TYPES = (Bucket, PublicAccessBlock, Versioning, Encryption, Lifecycle, BucketPolicy, User, UserPolicy, AccessKey)
