"""One drill from beginning to end: load, fault, healing, and what was seen."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace

from cli.console import Failure
from cli.drills.faults import Power
from cli.drills.load import KINDS, NEAR, Writer, ask_json, find_lost, run_script
from cli.drills.table import SERVICES, Drill, Leaders, has_clients, has_data, list_drills
from cli.nodes.access import Access, NodeAccess
from cli.nodes.reports import ask_status_async
from components.model.machine import Public
from components.model.plan import Node, Plan
from components.model.report import Reports, describe_first, is_healthy

BEFORE_SECONDS, AFTER_SECONDS = 5.0, 5.0
HEALTHY_LIMIT_SECONDS = 600.0
"""After which somebody has to help: the watcher may have to restart a service twice, five minutes apart."""
ROUNDS = 2
QUIET = ("standby", "postgresql", "queue", "consul")

Tell = Callable[[str], None]
Look = Callable[[], tuple[Access, Plan]]
Choose = Callable[[Mapping[str, Drill]], Drill]


@dataclass(frozen=True)
class Timeline:
    """When what was acknowledged, by kind, from `begun` to `ended` of this machine's clock, and when what happened."""

    begun: float
    ended: float
    acknowledged: Mapping[str, Sequence[float]]
    marks: Mapping[str, float]


Note = Callable[[str, Timeline], None]
"""Takes what a drill's name and its course were."""


@dataclass
class Outcome:
    """What a drill showed. Gaps in seconds by kind, none where they were not seen; `lost` names each acknowledged one that is
    gone; `rejoined` and `healthy` are seconds from the end of the fault until its nodes, and all nodes, were healthy; `named`
    is what `status` said meanwhile; `help` is "" when the deployment became healthy by itself, else what was not."""

    drill: str
    target: str
    gaps: dict[str, float] = field(default_factory=dict)
    acknowledged: dict[str, int] = field(default_factory=dict)
    isolated: dict[str, int] = field(default_factory=dict)
    lost: dict[str, list[str]] = field(default_factory=dict)
    calls: int = 0
    dropped: int = 0
    rejoined: float = 0.0
    healthy: float = 0.0
    named: str = ""
    help: str = ""

    @property
    def is_good(self) -> bool:
        """Return whether nothing was lost and nobody had to help."""
        return not self.help and not any(self.lost.values())


async def read_leaders(access: Access, plan: Plan) -> dict[str, str]:
    """Return who leads what, by key, as the first node with clients sees it."""
    keys = {name: node.key for node in plan.nodes for name in (node.name, node.key, node.private_address or node.key)}
    addresses = {access.nodes[node.key].address: node.key for node in plan.nodes if node.key in access.nodes}
    said = await ask_json(access, choose_client(access, plan), "leaders")
    moving: dict[str, str] = said["moving"]
    return {what: (keys | addresses).get(said[what], "") for what in SERVICES} | moving


def forget(name: str, timeline: Timeline) -> None:
    """Note nothing."""


async def run_drill(look: Look, choose: Choose, power: Power | None, tell: Tell, note: Note = forget) -> Outcome:
    """Run a drill; raises Failure where it cannot begin. The load's table and queue are taken away in any case.

    `look` gives the deployment as it is now, `choose` the drill, from all that there are.
    """
    access, plan = await asyncio.to_thread(look)
    if why := await wait_healthy(access, tell):
        raise Failure(f"{plan.stack} is not healthy, so nothing was broken on purpose: {why}")
    await ask_json(access, choose_client(access, plan), "load", "prepare")
    try:
        drill = choose(list_drills(plan, await read_leaders(access, plan), power))
        targets = [node for node in plan.nodes if node.key in drill.targets]
        outcome = Outcome(drill.name, ", ".join(drill.targets) if len(targets) < len(plan.nodes) else "every node")
        if drill.gather:
            await gather_leaders(access, plan, targets[0], tell)
        note(drill.name, await watch(look, drill, outcome, tell))
    finally:
        access, plan = await asyncio.to_thread(look)
        with suppress(Failure):
            await ask_json(access, choose_client(access, plan), "load", "clean")
    return outcome


def choose_client(access: Access, plan: Plan, but: Collection[str] = ()) -> NodeAccess:
    """Choose a node where the load is written as services do it, reached by others than `but`, none of them if it can be."""
    able = sorted((node for node in plan.nodes if has_clients(node)), key=lambda node: (node.key in but, has_data(node)))
    chosen = access.nodes[able[0].key]
    lost = {access.nodes[key].target.machine_id for key in but if key in access.nodes}
    via = tuple(sorted(chosen.target.via, key=lambda hop: hop.machine_id in lost))
    return replace(chosen, target=chosen.target.model_copy(update={"via": via}))


def is_cut_off(plan: Plan, key: str, lost: Collection[str]) -> bool:
    """Return whether a node that stays is reached through lost ones only."""
    hops = {node.key for node in plan.nodes if node.public is Public.SERVICE}
    return key not in lost and key not in hops and hops <= set(lost)


async def watch(look: Look, drill: Drill, outcome: Outcome, tell: Tell) -> Timeline:
    """Load, fault, healing, and the count of what is left; its course."""
    access, plan = await asyncio.to_thread(look)
    near = choose_client(access, plan, drill.targets)
    targets = [node for node in plan.nodes if node.key in drill.targets]
    machines = [access.nodes[node.key] for node in targets]
    writers = [Writer(NEAR, near)]
    async with AsyncExitStack() as stack:
        alone = is_cut_off(plan, near.key, drill.targets)
        await (writers[0].start_alone(access) if alone else writers[0].start(access, stack, direct=False))
        if not drill.fault.silent:
            for node in targets:
                if has_data(node) and node.key != near.key:
                    writers.append(Writer(node.key, access.nodes[node.key]))
                    await writers[-1].start(access, stack, direct=True)
        outcome.calls = await count_calls(access, plan)
        await asyncio.sleep(BEFORE_SECONDS)
        tell(f"{drill.name}: {drill.says}" + (f": {outcome.target}" if outcome.target else ""))
        begun = time.time()
        await drill.fault.begin(access, machines)
        failed = await run_command(drill.command) if drill.command else ""
        outcome.named = await hold(access, drill.hold)
        await drill.fault.end(access, machines)
        ended = time.time()
        access, plan = await asyncio.to_thread(look)

        def note(reports: Reports) -> None:
            back = drill.targets and all(reports[key].healthy for key in drill.targets)
            outcome.rejoined = (outcome.rejoined or time.time() - ended) if back else 0.0

        outcome.help = await wait_healthy(access, tell, note) or failed
        outcome.healthy = time.time() - ended
        await asyncio.sleep(AFTER_SECONDS)
        if alone:
            await writers[0].stop_alone(access)
        for writer in writers[alone:]:
            await writer.stop()
        stopped = time.time() - 1
    outcome.dropped = max(0, outcome.calls - await count_calls(access, plan))
    there = await ask_json(access, near, "load", "collect")
    outcome.lost = find_lost(writers, there)
    if strange := [f"{writer.name}: {writer.said['line']!r}" for writer in writers if "line" in writer.said]:
        tell(f"  printed by the load, and not understood: {'; '.join(strange)}")
    cut = writers[0].said.get("ssh", "")
    if cut:
        tell(f"  the load itself was cut off ({cut}): it is unknown for how long nothing was acknowledged")
    for kind in KINDS:
        if not cut:
            outcome.gaps[kind] = writers[0].longest_gap(kind, begun - 1, stopped)
        outcome.acknowledged[kind] = len(writers[0].acknowledged[kind])
        outcome.isolated[kind] = sum(
            begun < moment <= ended for writer in writers[1:] for moment in writer.acknowledged[kind].values()
        )
    moments = {kind: sorted(writers[0].acknowledged[kind].values()) for kind in KINDS}
    return Timeline(begun - BEFORE_SECONDS, stopped, moments, {"fault": begun, "mended": ended})


async def run_command(command: str) -> str:
    """Run it to its end, its output among ours; "" or how it failed."""
    process = await asyncio.create_subprocess_shell(command, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr)
    status = await process.wait()
    return f"{command}: exit status {status}" if status else ""


async def wait_healthy(access: Access, tell: Tell, note: Callable[[Reports], None] = lambda _: None) -> str:
    """Until every service is healthy, twice in a row; "" or what was not in time. `note` gets every look at them."""
    deadline = time.time() + HEALTHY_LIMIT_SECONDS
    good, why, told = 0, "", ""
    while good < ROUNDS:
        reports = await ask_status_async(access)
        note(reports)
        good = good + 1 if is_healthy(reports) else 0
        why = describe_first(reports)
        if why and why != told:
            tell(f"  waiting for {why}")
            told = why
        if not good and time.time() > deadline:
            return why or "not healthy twice in a row"
        await asyncio.sleep(1)
    return ""


async def hold(access: Access, seconds: float) -> str:
    """Wait so long; returns what `status` named when half of it was over, "" for nothing."""
    begun = time.monotonic()
    await asyncio.sleep(seconds / 2)
    named = ""
    with suppress(TimeoutError):
        named = describe_first(await asyncio.wait_for(ask_status_async(access), seconds / 2)) if seconds else ""
    await asyncio.sleep(max(0, begun + seconds - time.monotonic()))
    return named


async def count_calls(access: Access, plan: Plan) -> int:
    """Return the calls on every FreeSWITCH together."""
    nodes = [access.nodes[node.key] for node in plan.nodes_with("freeswitch")]
    said = await asyncio.gather(*(ask_json(access, node, "leaders") for node in nodes))
    return sum(max(0, answer["calls"]) for answer in said)


async def gather_leaders(access: Access, plan: Plan, target: Node, tell: Tell) -> None:
    """Bring the leadership of database and queue to the node that leads Consul; a Failure where they do not come."""
    node = access.nodes[target.key]
    queue = f"rabbit@{target.name}"
    for _ in range(6):
        leaders: Leaders = await read_leaders(access, plan)
        if leaders["postgresql"] == leaders["queue"] == target.key:
            return
        tell(f"  bringing all leaders to {target.key}: {', '.join(f'{what} at {leaders[what]}' for what in QUIET)}")
        if leaders["postgresql"] != target.key and leaders["standby"] == target.key:
            await run_script(
                access, node, f"patronictl -c /etc/patroni/config.yml switchover --force webitel --candidate {target.key}", 60
            )
        elif leaders["postgresql"] != target.key:
            # Only the synchronous standby may take over: the other one steps aside for a moment.
            other = access.nodes[leaders["standby"]]
            await run_script(access, other, "systemctl restart patroni", 60)
        if leaders["queue"] != target.key:
            await run_script(
                access,
                node,
                (
                    'rabbitmqctl -q eval \'{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"webitel-drill">>)), '
                    f'rabbit_quorum_queue:transfer_leadership(Q, list_to_atom("{queue}")).\''
                ),
                60,
            )
        await asyncio.sleep(15)
    raise Failure(f"not all leaders came to {target.key}")
