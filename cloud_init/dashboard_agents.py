"""The dashboard of agents and queues, from Webitel's tables by Grafana's own role (`facts/monitoring.md` 5)."""

from __future__ import annotations

from cloud_init.dashboard import Dashboard, lines_sql, listing_sql, number_sql

WAITING = "state = 'wait_agent' and bridged_at is null and leaving_at is null"
"""As the vendor's own distribution has it: whoever is in a queue and has no agent yet."""
LAST_HOUR = "joined_at > now() - interval '1 hour'"

AGENTS = Dashboard(
    "agents",
    "Agents and queues",
    (
        number_sql("Agents online", "select count(*) from call_center.cc_agent where status = 'online'"),
        number_sql("On a break", "select count(*) from call_center.cc_agent where status in ('pause', 'break_out')"),
        number_sql(
            "In conversation",
            "select count(*) from call_center.cc_agent_channel where state in ('answered', 'bridged', 'hold')",
            note="Agents, over all channels.",
        ),
        number_sql(
            "Waiting", f"select count(*) from call_center.cc_member_attempt where {WAITING}", note="In queues, without an agent."
        ),
        number_sql(
            "Longest wait",
            "select coalesce(extract(epoch from max(now() - joined_at)), 0)::int"
            f" from call_center.cc_member_attempt where {WAITING}",
            unit="s",
            warns=120,
            alarms=600,
        ),
        number_sql(
            "Reached an agent",
            "select avg((bridged_at is not null)::int) from call_center.cc_member_attempt_history"
            f" where {LAST_HOUR} and queue_id is not null",
            unit="percentunit",
            note="Of what came to queues within the last hour.",
        ),
        listing_sql(
            "Queues now",
            'select q.name as "Queue",'
            f' count(*) filter (where {WAITING}) as "Waiting",'
            f' extract(epoch from max(now() - a.joined_at) filter (where {WAITING}))::int as "Longest wait, s",'
            ' count(*) filter (where a.bridged_at is not null and a.leaving_at is null) as "In conversation"'
            " from call_center.cc_member_attempt a join call_center.cc_queue q on q.id = a.queue_id"
            " group by q.name order by 2 desc, 1",
            columns=12,
        ),
        listing_sql(
            "Agents",
            'select u."user" ->> \'name\' as "Agent", a.status as "Status", a.last_state_change as "Since",'
            " string_agg(c.channel || ': ' || c.state, ', ' order by c.channel) as \"Channels\""
            " from call_center.cc_agent a join call_center.cc_agent_with_user u on u.id = a.id"
            " left join call_center.cc_agent_channel c on c.agent_id = a.id"
            " where a.status <> 'offline' group by a.id, 1, 2, 3 order by 2, 1",
            columns=12,
        ),
        lines_sql(
            "What came to queues",
            "select $__timeGroup(joined_at, $__interval) as time,"
            ' count(*) filter (where bridged_at is not null) as "reached an agent",'
            ' count(*) filter (where bridged_at is null) as "did not"'
            " from call_center.cc_member_attempt_history"
            " where $__timeFilter(joined_at) and queue_id is not null group by 1 order by 1",
        ),
        lines_sql(
            "Wait until an agent answered",
            "select $__timeGroup(joined_at, $__interval) as time,"
            ' extract(epoch from avg(bridged_at - joined_at)) as "on average",'
            ' extract(epoch from max(bridged_at - joined_at)) as "longest"'
            " from call_center.cc_member_attempt_history"
            " where $__timeFilter(joined_at) and bridged_at is not null and queue_id is not null group by 1 order by 1",
            unit="s",
        ),
        listing_sql(
            "Queues over the time shown",
            'select q.name as "Queue", count(*) as "Came",'
            ' count(h.bridged_at) as "Reached an agent",'
            " count(*) filter (where h.result = 'abandoned') as \"Gave up\","
            ' extract(epoch from avg(h.bridged_at - h.joined_at))::int as "Wait on average, s"'
            " from call_center.cc_member_attempt_history h join call_center.cc_queue q on q.id = h.queue_id"
            " where $__timeFilter(h.joined_at) group by q.name order by 2 desc, 1",
            columns=8,
        ),
    ),
    refresh="1m",
    since="now-3h",
)
