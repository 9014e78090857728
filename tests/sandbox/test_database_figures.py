"""The database's figures, asked of a real PostgreSQL by a role that may do nothing but log in."""

import json

import pytest

from cloud_init.node.health.database_figures import HELP, STATEMENT
from tests.sandbox.platform import Platform

pytestmark = pytest.mark.sandbox


def test_a_plain_role_may_ask_for_every_figure(platform: Platform) -> None:
    platform.sql("drop role if exists looker", "postgres")
    platform.sql("create role looker", "postgres")
    said = json.loads(platform.sql(f"set role looker; {STATEMENT}", "webitel").splitlines()[-1])
    assert set(said) == set(HELP) and all(isinstance(value, int) for value in said.values())
    assert 0 < said["webitel_database_connections"] < said["webitel_database_connections_limit"]
    assert said["webitel_database_size_bytes"] > 1_000_000
