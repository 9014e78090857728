"""A command of ours on a simulated cloud, cut or failed at calls that change something, and run again as it advises."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from cli.nodes.access import Access, Answer, NodeAccess
from components.clouds.registry import CLOUDS
from components.model.machine import Public
from stacks.load import load_deployment
from tests.clouds.conformance import command
from tests.clouds.conformance.checks import SECRETS, TYPES, find_wrong_ways
from tests.clouds.conformance.command import Command, command_line
from tests.clouds.conformance.conftest import Live
from tests.clouds.conformance.test_day_two import name_of
from tests.simulator.case import identity, load_case

KILLS = ("cut", "stuck")
"""Kinds of failure in which the engine is killed: the call was done, or was not."""
TOGETHER_SECONDS = 0.3
"""From the first call that hangs to the kill: others that are under way hang too."""
RUNS = 30
"""A command that was run so often and has not ended never does."""

Look = Mapping[str, tuple[object, ...]]
Rule = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a command ended: "" = well, else what it said. `runs`: how often it was begun."""

    said: str
    runs: int = 1

    @property
    def advised(self) -> list[str]:
        """The command that it says resumes."""
        found = re.search(r"Run \./webitel (.*?) again: it resumes", self.said) or re.search(
            r"Next: \./webitel (up \S+(?: --repair)?)$", self.said, re.MULTILINE
        )
        assert found, f"it advises nothing: {self.said}"
        return found[1].split()


class Stand:
    """A deployment of one cloud that is up, with our command line on it."""

    def __init__(self, live: Live, webitel: Command) -> None:
        self.live, self.webitel = live, webitel
        self.stack = live.deployment.stack
        self.cloud = self.stack.partition("-")[0]
        self.engines: list[subprocess.Popen[bytes]] = []

    def fail(self, *rules: Rule) -> None:
        """Has calls fail from now on; none without rules."""
        file = self.live.simulators.faults.file
        assert file
        file.write_text(json.dumps(rules))
        self.live.simulators.faults.calls.clear()

    def run(self, *words: str) -> Outcome:
        """Runs a command to its end, and kills the engine as soon as a call hangs."""
        cut, ended = self.live.simulators.faults.cut, threading.Event()
        cut.clear()

        def watch() -> None:
            while not ended.is_set():
                if cut.wait(0.05):
                    time.sleep(TOGETHER_SECONDS)
                    cut.clear()
                    os.killpg(self.engines[-1].pid, signal.SIGKILL)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            ran = self.webitel(*words)
        finally:
            ended.set()
            watcher.join()
        self.live.simulators.settle()
        return Outcome(f"{ran.exception}\n{ran.output}" if ran.exit_code else "")

    def run_on(self, *words: str) -> Outcome:
        """Runs a command, and whatever each run that ends badly advises, until one ends well."""
        hits = self.live.simulators.faults.hits
        for runs in range(1, RUNS):
            outcome, before = self.run(*words), hits
            hits = self.live.simulators.faults.hits
            assert not outcome.said or hits > before, f"it fails though no call did: {outcome.said}"
            if not outcome.said:
                return Outcome("", runs)
            self.check_kept()
            words = tuple(outcome.advised)
            if "--yes" not in words:
                words = (*words, "--yes")
        raise AssertionError(f"{RUNS} runs, and the last one says: {outcome.said}")

    # What has to be there

    def machines(self) -> dict[str, str]:
        """Ids of the machines by node."""
        return {name_of(thing): identity(thing) for thing in TYPES[self.cloud].list_machines(self.live.world)}

    def look(self) -> dict[str, tuple[object, ...]]:
        """What each machine has to have after as before, the last whether it runs; of a public address that only lets its
        node out, that it has one."""
        fixed = CLOUDS[self.cloud].fixed_addresses
        serving = {node.name for node in load_deployment(self.stack).plan.nodes if node.public is Public.SERVICE}
        if not TYPES[self.cloud].addresses:
            serving = set()
        return {
            one.name: (
                one.disks,
                one.public_address if one.name in serving else bool(one.public_address),
                one.private_address if fixed else "",
                tuple(sorted(one.firewalls)),  # made anew, they come in another order
                one.runs,
            )
            for one in load_case(self.cloud).see(self.live.world)
        }

    def kept(self) -> dict[str, str]:
        """Ids of what is protected in the state and stands in the cloud: disks, addresses."""
        types = TYPES[self.cloud]
        things = [*types.list_disks(self.live.world), *(self.live.world.all(types.addresses) if types.addresses else [])]
        return {f"{thing.type} {name_of(thing)}": identity(thing) for thing in things}

    def remember(self) -> None:
        """Takes what is protected now for what has to stay."""
        protected = {one["urn"].rpartition("::")[2] for one in self.live.deployment.state() if one.get("protect")}
        made_by = TYPES[self.cloud].resource_of
        self.stays = {name: id for name, id in self.kept().items() if made_by(name.partition(" ")[2]) in protected}
        assert self.stays

    def check_kept(self) -> None:
        """Nothing that is protected is lost, at any time."""
        assert self.stays.items() <= self.kept().items()

    def check_whole(self, look: Look) -> None:
        """All nodes stand as they should, know it, and nothing is left to do."""
        assert self.look() == look
        self.check_kept()
        plan = load_deployment(self.stack).plan
        seen = {one.name: one for one in load_case(self.cloud).see(self.live.world)}
        assert list(find_wrong_ways(plan, self.live.world, seen)) == []
        state = self.live.deployment.state()
        left = [one["urn"] for one in state if one.get("delete") or one.get("pendingReplacement")]
        assert left == []
        # The provider of our own was given settings by another project's file, which changes nothing that it made.
        assert [step for step in self.live.deployment.preview() if not step.type.startswith("pulumi:providers:")] == []
        assert self.unknown_to_state() == []

    def unknown_to_state(self) -> list[str]:
        """Things in the cloud that no state knows: made twice, or left over."""
        known = {one.get("id") for one in self.live.deployment.state()}
        return [f"{thing.type} {name_of(thing)}" for thing in self.live.world.all() if thing.urn and thing.id not in known]

    def secrets(self) -> dict[str, object]:
        """What the `Secrets` are, in the clear."""
        return next(one["outputs"] for one in self.live.deployment.decrypted_state() if one["type"] == SECRETS)


@contextmanager
def stand_on(live: Live) -> Iterator[Stand]:
    """Our command line on a deployment; a node whose machine is off, or gone, answers nothing."""
    healthy = command.answer

    async def answer(
        access: Access, nodes: Sequence[NodeAccess], asked: str, seconds: float, text: str = ""
    ) -> dict[str, Answer]:
        cloud = live.deployment.stack.partition("-")[0]
        up = {one.name for one in load_case(cloud).see(live.world) if one.runs}
        told = await healthy(access, nodes, asked, seconds, text)
        return {node.key: told[node.key] if node.name in up else Answer(problem="no route to host") for node in nodes}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "answer", answer)
        with command_line(live, interrupted=True) as webitel:
            stand = Stand(live, webitel)

            class Engine(subprocess.Popen[bytes]):
                def __init__(self, *words: Any, **more: Any) -> None:
                    super().__init__(*words, **more)
                    if more.get("start_new_session"):
                        stand.engines.append(self)

            patch.setattr("cli.engine.rollout.subprocess.Popen", Engine)
            stand.remember()
            yield stand
            stand.fail()
