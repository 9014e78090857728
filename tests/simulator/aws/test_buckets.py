"""The rules of AWS about buckets, users and their keys, one by one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.aws.buckets import ACCESS_KEY, OBJECTS, PUBLIC_BLOCK, may
from tests.simulator.conftest import Driver, Made
from tests.simulator.world import Refused, Thing

ARN = "arn:aws:s3:::acme"


@pytest.fixture
def cloud(make_driver: Callable[[str], Driver]) -> Driver:
    return make_driver("aws")


@pytest.fixture(autouse=True)
def bucket(cloud: Driver) -> Made:
    return cloud.create("Bucket", bucket="acme")


def policy(effect: str = "Allow", **more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": "s3:*", "Resource": ARN, **more}]})


def test_names_are_unlike_all_others(cloud: Driver) -> None:
    for name in ("Acme", "a", "a..b", "10.0.0.1", "xn--acme", "acme--x-s3", "-acme"):
        with pytest.raises(Refused, match="InvalidBucketName"):
            cloud.create("Bucket", bucket=name)
    with pytest.raises(Refused, match="BucketAlreadyExists"):
        cloud.create("Bucket", bucket="webitel")
    with pytest.raises(Refused, match="already exists"):
        cloud.create("Bucket", "other", bucket="acme")


def test_a_bucket_with_something_in_it_stays(cloud: Driver, bucket: Made) -> None:
    cloud.create("BucketPublicAccessBlock", bucket="acme", blockPublicPolicy=True)
    with cloud.world.change():
        cloud.world.put(Thing(OBJECTS, "acme", "", {}))
    with pytest.raises(Refused, match="BucketNotEmpty"):
        cloud.delete(bucket)
    assert cloud.world.find(PUBLIC_BLOCK, "acme")
    cloud.world.erase(OBJECTS, "acme")
    cloud.delete(bucket)
    assert not cloud.world.find(PUBLIC_BLOCK, "acme"), "its settings go with it"


def test_settings_of_a_bucket(cloud: Driver) -> None:
    with pytest.raises(Refused, match="not found"):
        cloud.create("BucketVersioning", bucket="others", versioningConfiguration={"status": "Enabled"})
    for _ in range(2):  # what is set again takes the place of what was set
        made = cloud.create("BucketVersioning", bucket="acme", versioningConfiguration={"status": "Enabled"})
    with pytest.raises(Refused, match="cannot be updated"):
        cloud.update(made, bucket="acme", versioningConfiguration={"status": "Disabled"})
    own = {"sseAlgorithm": "AES256", "kmsMasterKeyId": "arn:aws:kms:..."}
    with pytest.raises(Refused, match="not applicable"):
        cloud.create(
            "BucketServerSideEncryptionConfiguration", bucket="acme", rules=[{"applyServerSideEncryptionByDefault": own}]
        )
    rule = {"id": "a", "status": "Enabled"}
    with pytest.raises(Refused, match="At least one action"):
        cloud.create("BucketLifecycleConfiguration", bucket="acme", rules=[rule])
    with pytest.raises(Refused, match="cannot be specified with Days"):
        both = {"days": 3, "expiredObjectDeleteMarker": True}
        cloud.create("BucketLifecycleConfiguration", bucket="acme", rules=[{**rule, "expiration": both}])


def test_policies(cloud: Driver) -> None:
    cloud.create("BucketPublicAccessBlock", bucket="acme", blockPublicPolicy=True)
    for wrong, words in (
        ("{}", "invalid Json"),
        (policy().replace("2012-10-17", "today"), "valid version"),
        (policy(), "Principal"),
        (policy(Principal="*", Resource="arn:aws:s3:::others"), "invalid resource"),
        (policy(Principal="*"), "BlockPublicPolicy"),
    ):
        with pytest.raises(Refused, match=words):
            cloud.create("BucketPolicy", bucket="acme", policy=wrong)
    cloud.create("BucketPolicy", bucket="acme", policy=policy("Deny", Principal="*"))
    cloud.create("User", name="backup")
    with pytest.raises(Refused, match="Syntax errors"):
        cloud.create("UserPolicy", user="backup", name="backup", policy=policy(Principal="*"))


def test_who_may_what(cloud: Driver) -> None:
    cloud.create("User", name="backup")
    own = policy(Action=["s3:Get*", "s3:deleteobject"], Resource=f"{ARN}/*")
    cloud.create("UserPolicy", user="backup", name="backup", policy=own)
    assert may(cloud.world, "backup", "s3:GetObject", f"{ARN}/a")
    assert may(cloud.world, "backup", "s3:DeleteObject", f"{ARN}/a")
    assert not may(cloud.world, "backup", "s3:DeleteObjectVersion", f"{ARN}/a")
    assert not may(cloud.world, "backup", "s3:GetObject", f"{ARN}s/a") and not may(cloud.world, "x", "s3:GetObject", f"{ARN}/a")
    cloud.create("UserPolicy", user="backup", name="never", policy=policy("Deny", Resource="*"))
    assert not may(cloud.world, "backup", "s3:GetObject", f"{ARN}/a")


def test_users_and_keys(cloud: Driver) -> None:
    with pytest.raises(Refused, match="slash"):
        cloud.create("User", name="wrong", path="backup")
    user = cloud.create("User", name="backup")
    forced = cloud.create("User", name="forced", forceDestroy=True)
    for name in ("backup", "forced"):
        cloud.create("AccessKey", user=name)
        cloud.create("AccessKey", user=name)
        with pytest.raises(Refused, match="AccessKeysPerUser: 2"):
            cloud.create("AccessKey", user=name)
    with pytest.raises(Refused, match="access keys first"):
        cloud.delete(user)
    cloud.create("UserPolicy", user="forced", name="backup", policy=policy())
    with pytest.raises(Refused, match="policies first"):
        cloud.delete(forced)
    cloud.world.erase("aws:iam/userPolicy:UserPolicy", "forced:backup")
    cloud.delete(forced)
    assert {key.inputs["user"] for key in cloud.world.all(ACCESS_KEY)} == {"backup"}
