"""The dashboard of agents and queues: its statements on real PostgreSQL, by the role that Grafana has, with columns that the
vendor's tables have (`docs/facts/monitoring.md` 5)."""

import re

import pytest

from cloud_init.dashboard import DATABASE
from cloud_init.dashboards import DASHBOARDS
from tests.sandbox.platform import Platform
from tests.sandbox.runner import node_files

pytestmark = pytest.mark.sandbox

TABLES = """
create schema call_center;
create table call_center.cc_agent (id int primary key, user_id bigint, status varchar(20),
  last_state_change timestamptz default now());
create table call_center.people (agent int, name text);
create view call_center.cc_agent_with_user as
  select a.id, jsonb_build_object('id', a.id, 'name', p.name) as "user"
  from call_center.cc_agent a join call_center.people p on p.agent = a.id;
create table call_center.cc_agent_channel (agent_id int, state varchar, channel varchar);
create table call_center.cc_queue (id int primary key, name varchar);
create table call_center.cc_member_attempt (id bigserial, queue_id int, agent_id int, result varchar(200),
  state varchar, channel varchar,
  joined_at timestamptz not null default now(), bridged_at timestamptz, leaving_at timestamptz);
create table call_center.cc_member_attempt_history (like call_center.cc_member_attempt including defaults);
insert into call_center.cc_agent values (1, 1, 'online'), (2, 2, 'pause'), (3, 3, 'offline');
insert into call_center.people values (1, 'Ann'), (2, 'Bob'), (3, 'Cid');
insert into call_center.cc_agent_channel values (1, 'bridged', 'call'), (1, 'waiting', 'chat'), (2, 'waiting', 'call');
insert into call_center.cc_queue values (1, 'sales'), (2, 'help');
insert into call_center.cc_member_attempt (queue_id, state, joined_at, bridged_at) values
  (1, 'wait_agent', now() - interval '90 s', null), (1, 'bridged', now(), now()), (2, 'wait_agent', now() - interval '5 s', null);
insert into call_center.cc_member_attempt_history (queue_id, result, joined_at, bridged_at) values
  (1, 'success', now() - interval '10 min', now() - interval '9 min'), (1, 'abandoned', now() - interval '10 min', null),
  (2, 'success', now() - interval '10 min', now() - interval '595 s'),
  (2, 'success', now() - interval '5 h', now() - interval '4 h');
"""
STATEMENTS = {
    panel.title: panel.queries[0].expression for board in DASHBOARDS for panel in board.panels if panel.source is DATABASE
}


def fill(statement: str) -> str:
    """What Grafana makes of its macros, over the last three hours in steps of five minutes."""
    statement = re.sub(r"\$__timeFilter\(([\w.]+)\)", r"\1 between now() - interval '3 hours' and now()", statement)
    return re.sub(r"\$__timeGroup\((\w+), \$__interval\)", r"floor(extract(epoch from \1) / 300) * 300", statement)


def test_agents_and_queues_are_read_as_grafana_reads_them(platform: Platform) -> None:
    if "postgresql" not in platform.running:
        platform.start("postgresql")
    for statement in ("create database agents", "create role grafana_of_agents login"):
        platform.sql(statement, "postgres")
    platform.sql(TABLES, "agents")
    settle = node_files()["/etc/webitel/grafana.sql"].replace("REVOKE pg_read_all_data FROM grafana;", "")
    platform.sql(re.sub(r"\bgrafana\b", "grafana_of_agents", settle), "agents")

    def read(title: str) -> list[str]:
        said = platform.sql(f"set role grafana_of_agents; {fill(STATEMENTS[title])}", "agents")
        return [line for line in said.splitlines() if line != "SET"]

    numbers = ("Agents online", "On a break", "In conversation", "Waiting")
    assert [read(title) for title in numbers] == [["1"], ["1"], ["1"], ["2"]]
    assert 90 <= int(read("Longest wait")[0]) < 300
    assert float(read("Reached an agent")[0]) == pytest.approx(2 / 3)
    assert [re.sub(r"\d+\|(\d)$", r"?|\1", line) for line in read("Queues now")] == ["help|1|?|0", "sales|1|?|1"]
    ann, bob = read("Agents")
    assert ann.startswith("Ann|online|") and ann.endswith("|call: bridged, chat: waiting") and bob.startswith("Bob|pause|")
    assert read("Queues over the time shown") == ["sales|2|1|1|60", "help|1|1|0|5"]
    (came,), (wait,) = read("What came to queues"), read("Wait until an agent answered")
    assert came.split("|")[1:] == ["2", "1"] and [float(part) for part in wait.split("|")[1:]] == [32.5, 60]
    assert set(STATEMENTS) == {
        *numbers,
        "Longest wait",
        "Reached an agent",
        "Queues now",
        "Agents",
        "Queues over the time shown",
    } | {
        "What came to queues",
        "Wait until an agent answered",
    }
