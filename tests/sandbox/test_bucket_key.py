"""What the key may do that nodes get with a bucket of the deployment's own, asked of a server that keeps versions and knows
policies: the very statements that go to AWS, as a policy of the bucket for that user."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.clouds.aws.backup_bucket import allow_key, deny_plain_http
from components.clouds.aws.policies import write_policy
from tests.sandbox.bucket import KEY, NAME, SECRET, build, run_bucket
from tests.sandbox.s3 import Client

pytestmark = pytest.mark.sandbox

ARN = f"arn:aws:s3:::{NAME}"
USER, USER_SECRET = "nodes", "secret-of-the-nodes"


@dataclass
class World:
    """A bucket with versions: its owner, and a node with its key."""

    owner: Client
    node: Client

    def allow(self, *statements: dict[str, Any]) -> None:
        assert self.owner.ask("PUT", "", {"policy": ""}, write_policy(list(statements)).encode()).status in (200, 204)


def for_the_user() -> list[dict[str, Any]]:
    """Those about the bucket: the server knows no keys of KMS."""
    found = [one for one in allow_key(ARN) if not str(one["Action"]).startswith("['kms:")]
    return [{**one, "Principal": {"AWS": [USER]}} for one in found]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with run_bucket(tmp_path / "storage", versions=True) as storage:
        place = ["--endpoint-url", f"https://{storage.host}:{storage.port}", "--allow-insecure"]
        login = ["--access", KEY, "--secret", SECRET]
        user = ["create-user", "--access", USER, "--secret", USER_SECRET, "--role", "user"]
        subprocess.run([str(build()), "admin", *place, *login, *user], check=True, capture_output=True)
        made = World(Client(storage, KEY, SECRET), Client(storage, USER, USER_SECRET))
        assert made.owner.ask("PUT").status == 200
        enabled = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        assert made.owner.ask("PUT", "", {"versioning": ""}, enabled).status == 200
        made.allow(*for_the_user(), deny_plain_http(ARN))
        yield made


def test_the_key_backs_up_and_expires_and_cannot_delete_what_was(world: World) -> None:
    node, owner = world.node, world.owner
    first = node.ask("PUT", "a/backup", body=b"first")
    assert first.status == 200, first.text
    old = first.headers["x-amz-version-id"]
    assert node.ask("PUT", "a/backup", body=b"second").status == 200
    assert node.ask("GET", "a/backup").text == "second"
    assert "a/backup" in node.ask("GET", "", {"list-type": "2", "prefix": "a/"}).text
    # As pgBackRest expires backups, and as somebody does who has a node.
    assert node.ask("DELETE", "a/backup").status == 204
    assert node.ask("GET", "a/backup").status == 404
    refused = node.ask("DELETE", "a/backup", {"versionId": old})
    assert refused.status == 403 and "AccessDenied" in refused.text
    assert owner.ask("GET", "a/backup", {"versionId": old}).text == "first"
    for query in ("versioning", "policy"):
        assert node.ask("PUT", "", {query: ""}, b"<x/>" if query != "policy" else b"{}").status == 403, query
    assert node.ask("DELETE", "", {"policy": ""}).status == 403
    assert node.ask("DELETE").status == 403


def test_with_the_right_that_it_lacks_it_could(world: World) -> None:
    """What refuses above is the policy, and the server knows the difference."""
    old = world.node.ask("PUT", "a/backup", body=b"first").headers["x-amz-version-id"]
    text = json.dumps(for_the_user()).replace('"s3:DeleteObject"', '"s3:DeleteObject", "s3:DeleteObjectVersion"')
    world.allow(*json.loads(text))
    assert world.node.ask("DELETE", "a/backup", {"versionId": old}).status == 204
    assert world.owner.ask("GET", "a/backup", {"versionId": old}).status == 404
