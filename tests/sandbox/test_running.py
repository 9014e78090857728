"""All stand-ins together on real programs: what they have while they work, and what they lose (`facts/observed.md` 2 to 5)."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from sandbox.standin.behaviour import BEHAVIOURS
from tests.sandbox.platform import Platform, fetch
from tests.sandbox.runner import ADDRESS, Runner
from tests.unit.cloud_init.test_webitel_fragments import SERVICES
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

NUMBER = "101"
STORAGE_404 = "api.context.404.app_error"
PROCESSES = dict[str, Any]


def fill(text: str) -> str:
    return text.replace("{id}", NUMBER)


@pytest.fixture
def everything(runner: Runner) -> Iterator[PROCESSES]:
    """All of them, started at once in real time, up and with their Consul entries."""
    began = time.monotonic()
    processes = {name: runner.start(name, speed=1) for name in BEHAVIOURS}
    wanted = Counter(names())
    wait_until(lambda: runner.ended() or Counter(entries(runner.platform).values()) >= wanted, 60, "all entries in Consul")
    print(f"{len(processes)} stand-ins in Consul after {time.monotonic() - began:.1f} s")
    # Some register before they connect to the broker, and losing it then is another story.
    wait_until(lambda: runner.ended() or all(is_up(runner, name) for name in processes), 60, "all of them up")
    assert not runner.ended()
    yield processes


def is_up(runner: Runner, name: str) -> bool:
    """Whether a stand-in has taken its last step. The logger says nothing: with it, that is consuming."""
    if BEHAVIOURS[name].silent:
        consumed = {one["queue"]["name"] for one in json.loads(runner.platform.rabbit("/consumers")[1])}
        return {queue.name for queue in BEHAVIOURS[name].topology.queues} <= consumed
    return " is up: " in runner.log(name)


def entries(platform: Platform) -> dict[str, str]:
    """Identifier -> name of each service in Consul."""
    services = json.loads(platform.consul("/v1/agent/services") or "{}")
    return {identifier: service["Service"] for identifier, service in services.items()}


def names() -> list[str]:
    return [facts["consul"]["name"] for facts in SERVICES.values()]


def bindings(platform: Platform) -> set[tuple[str, str, str]]:
    found = json.loads(platform.rabbit("/bindings")[1])
    return {(one["source"], one["destination"], one["routing_key"]) for one in found if one["source"]}


def queues(platform: Platform) -> dict[str, dict[str, Any]]:
    return {queue["name"]: queue for queue in json.loads(platform.rabbit("/queues")[1])}


def wait_for_sessions(platform: Platform, name: str) -> None:
    wanted = BEHAVIOURS[name].pool.size
    wait_until(lambda: platform.sessions(name) == wanted, 15, f"{wanted} sessions of {name}")


def wait_for_consumer(platform: Platform, queue: str) -> None:
    wait_until(lambda: queues(platform).get(queue, {}).get("consumers"), 30, f"a consumer of {queue}")


def test_what_they_have(everything: PROCESSES, runner: Runner) -> None:
    platform = runner.platform
    assert [name for name, process in everything.items() if process.poll() is not None] == []
    for name, facts in SERVICES.items():
        row = BEHAVIOURS[name]
        # go-micro's entries carry a new identifier each; the leftovers of killed ones may still be listed.
        found = [identifier for identifier, service in entries(platform).items() if service == facts["consul"]["name"]]
        expected = fill(facts["consul"].get("id", facts["consul"]["name"] + "-")).replace("{uuid}", "")
        assert [identifier for identifier in found if identifier.startswith(expected)], f"{name}: {found}"
        entry = json.loads(platform.consul(f"/v1/agent/service/{found[-1]}"))
        port = {**facts["ports"], **facts.get("pinned", {})}["grpc"]
        assert (entry["Address"], entry["Port"]) == (ADDRESS, port)
        if "tags" in facts["consul"]:
            assert entry["Tags"] == [fill(tag) for tag in facts["consul"]["tags"]]
            checks = json.loads(platform.consul("/v1/agent/checks"))
            assert checks[fill(facts["consul"]["check"])]["Status"] == "passing"
        elif "tag_count" in facts["consul"]:
            assert len(entry["Tags"]) == facts["consul"]["tag_count"]
        wait_for_sessions(platform, name)
        assert row.registration is not None
    there, bound = queues(platform), bindings(platform)
    for facts in SERVICES.values():
        for queue, kind in facts.get("queues", {}).items():
            made = there[fill(queue)]
            # What names no type gets the virtual host's, where a queue of that kind can be one of it.
            default = "quorum" if made["durable"] and not (made["exclusive"] or made["auto_delete"]) else "classic"
            assert made["arguments"].get("x-queue-type", "classic") == kind.get("type", default)
            assert made["arguments"].get("x-expires") == kind.get("expires")
        for source, target, key in facts.get("bindings", []):
            assert not target or (source, fill(target), fill(key)) in bound
        for exchange, kind in facts.get("exchanges", {}).items():
            assert json.loads(platform.rabbit(f"/exchanges/%2f/{exchange}")[1])["type"] == kind
    assert Counter(source for source, target, _ in bound if target.startswith("amq.gen-")) == Counter({"chat": 6})
    for name in ("engine.trigger", "workflow-call", "logger.service", f"custom-cases-{NUMBER}"):
        wait_for_consumer(platform, name)


def is_answering(place: str) -> bool:
    return fetch(f"http://{place}")[0] != 0


def test_what_their_ports_answer(everything: PROCESSES, runner: Runner) -> None:
    answers = {
        f"{ADDRESS}:10022/": (404, "404 page not found"),
        f"{ADDRESS}:10022/websocket": (400, "Bad Request"),
        f"{ADDRESS}:10023/": (404, STORAGE_404),
        f"{ADDRESS}:10021/": (404, STORAGE_404),
        f"{ADDRESS}:10021/sys/recordings": (405, ""),
        "127.0.0.1:5689/": (404, ""),
        f"{ADDRESS}:10031/": (404, ""),
        "127.0.0.1:6060/debug/pprof/": (200, ""),
        f"{ADDRESS}:8080/srvinfo": (200, '"id":"'),
        f"{ADDRESS}:8080/userinfo": (401, ""),
    }
    for place, (status, text) in answers.items():
        wait_until(partial(is_answering, place), 20, f"an answer at {place}")
        told = fetch(f"http://{place}")
        assert told[0] == status and text in told[1], f"{place}: {told}"
    for place in ("127.0.0.1:8090", "127.0.0.1:8092"):
        status, text = fetch(f"http://{place}/debug/pprof/cmdline")
        assert status == 200 and text and "password" not in text
    runner.platform.sql("alter table chat.bot rename to other")
    try:
        wait_until(lambda: fetch(f"http://{ADDRESS}:10031/")[0] == 502, 8, "502 from the bot without its table")
    finally:
        runner.platform.sql("alter table chat.other rename to bot")


def test_together_they_are_small(everything: PROCESSES) -> None:
    time.sleep(3)
    total = 0
    for process in everything.values():
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    print(f"{len(everything)} stand-ins: {total // 1024} MiB")
    assert total < 350 * 1024


def test_their_end(everything: PROCESSES, runner: Runner) -> None:
    for name, process in everything.items():
        began = time.monotonic()
        assert runner.end(process) == 0
        assert (2 <= time.monotonic() - began <= 5) == (name == "call_center")
    assert set(entries(runner.platform)) == {NUMBER}, "only the logger leaves its entry behind"


def test_the_database_is_lost_and_comes_back(everything: PROCESSES, runner: Runner) -> None:
    platform = runner.platform
    platform.stop("postgresql")
    time.sleep(8)
    assert [name for name, process in everything.items() if process.poll() is not None] == []
    assert set(platform.checks().values()) == {"passing"}
    assert fetch(f"http://{ADDRESS}:10023/")[0] == 404
    platform.start("postgresql")
    for name, row in BEHAVIOURS.items():
        if row.pool.polls:
            wait_for_sessions(platform, name)
    # The others open one when somebody asks them.
    assert {platform.sessions(name) for name, row in BEHAVIOURS.items() if not row.pool.polls} == {0}


def test_the_broker_is_lost_and_comes_back(everything: PROCESSES, runner: Runner) -> None:
    platform = runner.platform
    platform.stop("rabbitmq")
    time.sleep(3)
    assert [name for name, process in everything.items() if process.poll() is not None] == []
    platform.start("rabbitmq")
    assert everything["flow_manager"].wait(90) == 112
    wait_for_consumer(platform, "engine.trigger")
    wait_until(lambda: sum(queue.startswith("amq.gen-") for queue in queues(platform)) == 6, 30, "the queues of messages")
    time.sleep(4)
    assert f"custom-cases-{NUMBER}" not in queues(platform), "cases does not make its queue anew"
    assert everything["cases"].poll() is None and platform.checks()[f"cases-{NUMBER}"] == "passing"
    assert [name for name, process in everything.items() if process.poll() is not None] == ["flow_manager"]
    assert runner.start("flow_manager").poll() is None


def test_consul_returns_with_its_data(everything: PROCESSES, runner: Runner) -> None:
    platform = runner.platform
    platform.stop("consul")
    time.sleep(2)
    platform.start("consul")
    wait_until(lambda: Counter(entries(platform).values()) >= Counter(names()), 10, "all entries")
    wait_until(lambda: set(platform.checks().values()) == {"passing"}, 60, "all passing")
    assert [name for name, process in everything.items() if process.poll() is not None] == []


def test_consul_returns_without_its_data(everything: PROCESSES, runner: Runner) -> None:
    platform = runner.platform
    platform.stop("consul")
    platform.lose_consul_data()
    platform.start("consul")
    expected = Counter(name for name in names() if name not in ("logger", "webitel.cases"))
    wait_until(lambda: Counter(entries(platform).values()) == expected, 75, "all but logger and cases")
    time.sleep(5)
    assert Counter(entries(platform).values()) == expected
    assert [name for name, process in everything.items() if process.poll() is not None] == []
