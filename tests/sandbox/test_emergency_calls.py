"""Emergency numbers that nobody could call: asked of the database as Flow Manager asks it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from cloud_init.node.health.emergency import emergency_calls
from cloud_init.node.report import MachineRow
from tests.sandbox.platform import Platform, running_platform

pytestmark = pytest.mark.sandbox


@dataclass
class Asked:
    """A node's view of its database: where it is, and the password."""

    ports: dict[str, int]
    secrets: dict[str, str] = field(default_factory=lambda: {"database_password": "database-password"})


@pytest.fixture
def database() -> Iterator[Platform]:
    with running_platform(Platform.set_up_database) as platform:
        yield platform


def told(database: Platform, numbers: tuple[str, ...] = ("112", "911")) -> MachineRow:
    seen: Any = Asked({"haproxy_sql": database.ports["postgresql"]})
    return emergency_calls(list(numbers), seen)


def test_a_domain_with_phones_and_no_route_for_a_number_is_named(database: Platform) -> None:
    database.sql("insert into directory.wbt_domain (dc, name) values (71, 'north'), (72, 'south'), (73, 'empty')")
    for dc, name in ((71, "north"), (72, "south")):
        database.sql(
            f"insert into sip_subscriber (uid, dc, realm, user_id, auth_id, digest_ha1) values (1, {dc}, '{name}', 'a', 'a', 'x')"
        )
    database.sql(
        "insert into flow.acr_routing_outbound_call (domain_id, pattern, disabled) values "
        "(71, '^(112|110)$', false), (71, '^911$', true), (72, '.*', false), (73, '^1$', false)"
    )
    assert told(database) == {
        "name": "emergency calls",
        "healthy": True,
        "warning": True,
        "why": "no outbound route for 911 in north",
    }
    database.sql("update flow.acr_routing_outbound_call set disabled = false")
    assert told(database) == {"name": "emergency calls", "healthy": True, "why": "a route for each"}


def test_a_pattern_that_is_none_is_said_and_no_fault(database: Platform) -> None:
    database.sql("insert into sip_subscriber (uid, dc, realm, user_id, auth_id, digest_ha1) values (1, 1, 'w', 'a', 'a', 'x')")
    database.sql("insert into flow.acr_routing_outbound_call (domain_id, pattern) values (1, '^(112')")
    row = told(database)
    assert row["healthy"] and row["warning"] and row["why"].startswith("not known: ") and "parentheses" in row["why"]
