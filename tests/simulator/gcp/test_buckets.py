"""The rules of Google Cloud about buckets, who reaches them, and keys of accounts, one by one."""

import base64
import json
from collections.abc import Callable

import pytest

from tests.simulator.conftest import Driver, Made
from tests.simulator.gcp.buckets import BUCKET, DAY, FORBIDDEN_KEYS, OBJECTS, may
from tests.simulator.gcp.forwarding import KEY
from tests.simulator.world import Refused, Thing

USER = "roles/storage.objectUser"


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("gcp")


@pytest.fixture(autouse=True)
def bucket(cloud: Driver) -> Made:
    return cloud.create("Bucket", name="acme", location="EUROPE-WEST3", publicAccessPrevention="enforced")


@pytest.fixture
def account(cloud: Driver) -> Made:
    return cloud.create("Account", accountId="acme-backup")


def test_names_are_unlike_all_others(cloud: Driver) -> None:
    for name in ("Acme", "a", "goog-acme", "acme-google", "my-g00gle-x", "-acme"):
        with pytest.raises(Refused, match="Invalid bucket name"):
            cloud.create("Bucket", name=name, location="EUROPE-WEST3")
    with pytest.raises(Refused, match="not available"):
        cloud.create("Bucket", name="webitel", location="EUROPE-WEST3")
    with pytest.raises(Refused, match="already exists"):
        cloud.create("Bucket", "other", name="acme", location="EUROPE-WEST3")
    with pytest.raises(Refused, match="location constraint"):
        cloud.create("Bucket", name="elsewhere", location="Frankfurt")


def test_what_was_deleted_stays_a_week_unless_told_and_at_most_90_days(cloud: Driver, bucket: Made) -> None:
    assert bucket.outputs["softDeletePolicy"]["retentionDurationSeconds"] == 7 * DAY
    for days in (1, 91):
        with pytest.raises(Refused, match="between 7 and 90 days"):
            cloud.create("Bucket", name=f"acme-{days}", location="EU", softDeletePolicy={"retentionDurationSeconds": days * DAY})


def test_a_bucket_with_something_in_it_stays(cloud: Driver, bucket: Made) -> None:
    with cloud.world.change():
        cloud.world.put(Thing(OBJECTS, "acme", "", {}))
    with pytest.raises(Refused, match="containing objects"):
        cloud.delete(bucket)
    cloud.world.erase(OBJECTS, "acme")
    cloud.delete(bucket)
    assert not cloud.world.find(BUCKET, "acme")


def test_who_may_what(cloud: Driver, account: Made) -> None:
    member = account.outputs["member"]
    with pytest.raises(Refused, match="not found"):
        cloud.create("BucketIAMMember", bucket="others", role=USER, member=member)
    with pytest.raises(Refused, match="is not supported"):
        cloud.create("BucketIAMMember", bucket="acme", role="roles/editor", member=member)
    with pytest.raises(Refused, match="does not exist"):
        cloud.create("BucketIAMMember", bucket="acme", role=USER, member="serviceAccount:nobody@x.iam.gserviceaccount.com")
    with pytest.raises(Refused, match="allUsers"):
        cloud.create("BucketIAMMember", bucket="acme", role=USER, member="allUsers")
    for _ in range(2):  # asked for twice it is there once
        cloud.create("BucketIAMMember", bucket="acme", role=USER, member=member)
    assert may(cloud.world, member, "storage.objects.delete", "acme")
    assert not may(cloud.world, member, "storage.buckets.update", "acme")
    assert not may(cloud.world, member, "storage.objects.get", "others")


def test_keys_go_with_their_account_and_may_be_forbidden(cloud: Driver, account: Made) -> None:
    name = account.outputs["name"]
    key = cloud.create("Key", serviceAccountId=name)
    assert json.loads(base64.b64decode(key.outputs["privateKey"]))["client_email"] == account.outputs["email"]
    for _ in range(9):
        cloud.create("Key", serviceAccountId=name)
    with pytest.raises(Refused, match="Maximum number of keys"):
        cloud.create("Key", serviceAccountId=name)
    cloud.delete(account)
    assert not cloud.world.all(KEY)
    other = cloud.create("Account", "other", accountId="other-backup")
    with cloud.world.change():
        cloud.world.put(Thing(FORBIDDEN_KEYS, "organisation", "", {}))
    with pytest.raises(Refused, match="Key creation is not allowed"):
        cloud.create("Key", serviceAccountId=other.outputs["name"])
