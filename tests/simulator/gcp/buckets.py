"""Google Cloud: buckets, who may do what in them, and keys of accounts (`facts/backups.md` 5.2)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import ClassVar

from provider.server import Properties
from tests.simulator.call import Call
from tests.simulator.gcp.forwarding import ACCOUNT, KEY
from tests.simulator.gcp.resources import Google
from tests.simulator.resource import Simulated
from tests.simulator.world import Refused, Thing, World

BUCKET, MEMBER = "gcp:storage/bucket:Bucket", "gcp:storage/bucketIAMMember:BucketIAMMember"
DAY = 86_400
SOFT_DAYS = (7, 90)
KEYS_OF_AN_ACCOUNT = 10
OBJECTS = "simulated:gcs:Objects"
"""What somebody has put into a bucket, with the bucket's name as id."""
FORBIDDEN_KEYS = "simulated:gcp:disableServiceAccountKeyCreation"
"""There is one where the organisation lets nobody make keys."""
TAKEN = ("backup", "test", "webitel")
"""Names that somebody else has."""
EVERYBODY = ("allUsers", "allAuthenticatedUsers")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_KEPT_NAMES = re.compile(r"goog.*|.*(google|g00gle).*")
_LOCATION = re.compile(r"[A-Z]+-[A-Z]+\d+|US|EU|ASIA")
_OBJECTS = ("create", "delete", "get", "list", "update", "restore", "move")

ROLES: Mapping[str, frozenset[str]] = {
    "roles/storage.objectUser": frozenset(f"storage.objects.{verb}" for verb in _OBJECTS),
    "roles/storage.objectViewer": frozenset({"storage.objects.get", "storage.objects.list"}),
    "roles/storage.objectCreator": frozenset({"storage.objects.create"}),
    "roles/storage.objectAdmin": frozenset(f"storage.objects.{verb}" for verb in (*_OBJECTS, "getIamPolicy", "setIamPolicy")),
    "roles/storage.admin": frozenset(
        {f"storage.objects.{verb}" for verb in (*_OBJECTS, "getIamPolicy", "setIamPolicy")}
        | {f"storage.buckets.{verb}" for verb in ("create", "delete", "get", "list", "update", "getIamPolicy", "setIamPolicy")}
    ),
}
"""What the roles that Google has made allow, as far as it concerns backups."""


class Bucket(Google):
    """Its name is its own in the whole world, whoever has another one. What is deleted in it stays for as long as its policy of
    soft deletion says, 7 days unless told."""

    type = BUCKET

    def make_id(self, call: Call) -> str:
        return str(call.inputs["name"])

    def make(self, call: Call) -> Properties:
        inputs, name = call.inputs, call.inputs["name"]
        if not _NAME.fullmatch(name) or _KEPT_NAMES.fullmatch(name):
            raise Refused(f"googleapi: Error 400: Invalid bucket name: '{name}', invalid")
        if name in TAKEN:
            raise Refused(
                "googleapi: Error 409: The requested bucket name is not available. The bucket namespace is shared by all users "
                f"of the system. Please select a different name and try again.: {name}, conflict"
            )
        if not _LOCATION.fullmatch(inputs["location"].upper()):
            raise Refused("googleapi: Error 400: The specified location constraint is not valid., invalid")
        seconds = (inputs.get("softDeletePolicy") or {}).get("retentionDurationSeconds", SOFT_DAYS[0] * DAY)
        if seconds and not SOFT_DAYS[0] * DAY <= seconds <= SOFT_DAYS[1] * DAY:
            raise Refused("googleapi: Error 400: Soft delete policy retention duration must be between 7 and 90 days, invalid")
        return {
            **super().make(call),
            "location": inputs["location"].upper(),
            "project": self.place(call, "project"),
            "projectNumber": 1,
            "publicAccessPrevention": inputs.get("publicAccessPrevention") or "inherited",
            "rpo": inputs.get("rpo") or "",
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{name}",
            "softDeletePolicy": {"retentionDurationSeconds": seconds, "effectiveTime": "2026-12-01T00:00:00Z"},
            "timeCreated": "2026-12-01T00:00:00Z",
            "uniformBucketLevelAccess": bool(inputs.get("uniformBucketLevelAccess")),
            "updated": "2026-12-01T00:00:00Z",
            "url": f"gs://{name}",
        }

    def end(self, call: Call, thing: Thing) -> None:
        super().end(call, thing)
        if objects := call.world.find(OBJECTS, thing.id):
            if not thing.inputs.get("forceDestroy"):
                raise Refused(f"Error trying to delete bucket {thing.id} containing objects without `force_destroy` set to true")
            call.world.drop(objects)


class BucketMember(Simulated):
    """One member of a role in a bucket; asked for twice it is there once. Whom nobody prevents, everybody may be."""

    type = MEMBER
    mentions: ClassVar = {"bucket": BUCKET}

    def make_id(self, call: Call) -> str:
        inputs = call.inputs
        return f"b/{inputs['bucket']}/{inputs['role']}/{inputs['member']}"

    def overwrites(self, inputs: Properties) -> bool:
        return True

    def make(self, call: Call) -> Properties:
        inputs = call.inputs
        bucket = call.world.find(BUCKET, inputs["bucket"])
        if not bucket:
            raise Refused(f"googleapi: Error 404: The specified bucket does not exist., notFound: {inputs['bucket']}")
        if inputs["role"] not in ROLES:
            raise Refused(f"googleapi: Error 400: Role {inputs['role']} is not supported for this resource., badRequest")
        if inputs["member"] in EVERYBODY:
            if bucket.get("publicAccessPrevention") == "enforced":
                raise Refused("googleapi: Error 412: The member bindings allUsers and allAuthenticatedUsers are not allowed")
        elif inputs["member"] not in {one.get("member") for one in call.world.all(ACCOUNT)}:
            raise Refused(f"googleapi: Error 400: Service account {inputs['member']} does not exist., invalid")
        return {"etag": "e"}


class AccountKey(Google):
    """Ten an account; whoever makes one learns it, and nobody later. An organisation may forbid them all."""

    type = KEY
    mentions: ClassVar = {"serviceAccountId": ACCOUNT}
    untold: ClassVar = ("privateKey",)

    def make_id(self, call: Call) -> str:
        return f"{call.inputs['serviceAccountId']}/keys/{call.number():040x}"

    def make(self, call: Call) -> Properties:
        account = call.find(ACCOUNT, call.inputs["serviceAccountId"])
        if call.world.all(FORBIDDEN_KEYS):
            raise Refused(
                "Error creating service account key: googleapi: Error 400: Key creation is not allowed on this service account., "
                "failedPrecondition: constraints/iam.disableServiceAccountKeyCreation"
            )
        others = [one for one in call.world.all(KEY) if one.inputs["serviceAccountId"] == account.id and one.id != call.id]
        if len(others) >= KEYS_OF_AN_ACCOUNT:
            raise Refused("Error creating service account key: googleapi: Error 429: Maximum number of keys on account reached.")
        key = {
            "type": "service_account",
            "client_email": account.get("email"),
            "private_key": call.lasting("secret", "simulated-secret-{:025d}".format),
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        return {
            "name": call.id,
            "privateKey": call.outputs.get("privateKey") or base64.b64encode(json.dumps(key).encode()).decode(),
            "publicKey": "simulated",
            "validAfter": "2026-12-01T00:00:00Z",
            "validBefore": "9999-12-31T23:59:59Z",
        }


TYPES = (Bucket, BucketMember, AccountKey)


def may(world: World, member: str, right: str, bucket: str) -> bool:
    """Whether a member's roles in a bucket let it do that."""
    found = (one.inputs["role"] for one in world.all(MEMBER) if one.inputs["member"] == member and one.inputs["bucket"] == bucket)
    return any(right in ROLES[role] for role in found)
