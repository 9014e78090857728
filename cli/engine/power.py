"""Machines that are off: found by asking the cloud, started where somebody asks for it."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request as Call
from urllib.request import urlopen

from cli.console import DEFAULT_STACK, Failure, progress
from cli.engine.ask import Question, ask, make
from cli.engine.backend import ROOT
from cli.engine.engine import Engine
from cli.engine.events import EventLog, name_of
from cli.engine.pending import make_question, setting_of
from components.clouds.power import Direct, Request, Switch
from components.clouds.registry import load_power
from components.model.naming import is_node_key
from components.model.plan import Plan
from components.model.report import NodeReport, list_silent, make_silent_report
from tools.host.pace import Pace

CALL_SECONDS = 30.0
"""For one call of a cloud's interface."""
STOP_SECONDS = 300.0
"""Until a machine on its way down has come there: Azure takes minutes to deallocate one."""
START_SECONDS = 180.0
"""Until the cloud says that a machine runs."""
PAUSE_SECONDS = 3.0


Resource = dict[str, Any]


@dataclass
class Machines:
    """By key of a node: the cloud's word for its machine that is off, and why nothing is known of it."""

    off: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)

    def list_unknown(self) -> dict[str, str]:
        """Return a sentence on each machine of which nothing is known."""
        return {key: f"the cloud does not say whether its machine is running: {why}" for key, why in self.unknown.items()}

    def list_waiting(self, words: Collection[str]) -> dict[str, str]:
        """Return a sentence on each machine that still has one of these states, or may have."""
        still = {key: f"its machine is still {word}" for key, word in self.off.items() if word in words}
        return still | self.list_unknown()


def find_machines(resources: Sequence[Resource], plan: Plan, keys: Collection[str] = ()) -> dict[str, Resource]:
    """Find the machines in the state by the key of their node, all of them or those."""
    known = {
        str(one["urn"]).rpartition("::")[2]: one
        for one in resources
        if one["type"] == plan.facts.machine_resource and is_node_key(name_of(one["urn"])) and not one.get("delete")
    }
    return {key: one for key, one in known.items() if not keys or key in keys}


def ask_power(engine: Engine, plan: Plan, keys: Collection[str] = ()) -> Machines:
    """Which machines are off, of all nodes or of those. A cloud that cannot be asked leaves them unknown."""
    if not plan.facts.real:
        return Machines()
    power, resources = load_power(plan.cloud), engine.resources()
    found = find_machines(resources, plan, keys)
    told, words = Machines(), dict[str, str]()
    if power.tell:
        for key, one in found.items():
            try:
                words[key] = power.tell(str(one["id"]), setting_of(engine, one, resources))
            except OSError as error:
                told.unknown[key] = str(error)
    else:
        questions = [make_question(one, power.function, power.arguments(str(one["id"])), resources) for one in found.values()]
        try:
            answers = ask(engine, questions)
        except Failure as failure:
            return Machines(unknown=dict.fromkeys(found, str(failure)))
        for key, answer in zip(found, answers, strict=True):
            if answer.error:
                told.unknown[key] = answer.error
            else:
                words[key] = power.state(answer.values)
    told.off = {key: word for key, word in words.items() if word in power.off}
    return told


def explain_silence(engine: Engine, plan: Plan, reports: Mapping[str, NodeReport]) -> dict[str, NodeReport]:
    """Return the reports, in which silent nodes get the cloud's word for a machine that is off."""
    told = dict(reports)
    silent = list_silent(reports)
    for key, word in ask_power(engine, plan, silent).off.items() if silent else ():
        again = "" if plan.stack == DEFAULT_STACK else f" {plan.stack}"
        told[key] = make_silent_report(key, reports[key].node, f"its machine is {word}. Start it: ./webitel up{again} --repair")
    return told


def start_machines(engine: Engine, plan: Plan) -> list[str]:
    """Start every machine that is off, and wait until the cloud says that they run; their keys. A Failure where the
    cloud refuses, or does not tell."""
    told = ask_power(engine, plan)
    refuse_unknown(engine, plan, told)
    if not told.off:
        return []
    power, resources = load_power(plan.cloud), engine.resources()
    told = wait_for(engine, plan, list(told.off), Machines(told.off), power.stopping, STOP_SECONDS)
    found = find_machines(resources, plan, told.off) if told.off else {}
    switches = []
    for key, one in found.items():
        progress(f"Starting {key}: its machine is {told.off[key]}.")
        start = power.start(str(one["id"]), told.off[key], setting_of(engine, one, resources))
        if isinstance(start, Switch):
            switches.append(make_question(one, start.type, start.inputs, resources))
        elif isinstance(start, Direct):
            try:
                start.run()
            except OSError as error:
                raise Failure(f"{key} could not be started: {error}") from error
        else:
            call(key, start, read_token(engine, start, make_question(one, start.function, {}, resources)))
    if switches:
        make(engine, switches)
    if found:
        wait_for(engine, plan, found, ask_power(engine, plan, found), power.off, START_SECONDS)
    return list(found)


def refuse_unknown(engine: Engine, plan: Plan, told: Machines) -> None:
    """Raise a Failure that names the machines of which the cloud does not tell whether they run. One that is gone is none
    of them: the `up` that follows makes it anew."""
    if not told.unknown:
        return
    gone = find_gone(engine, plan, told.unknown)
    if lines := [f"{key}: {said}" for key, said in told.list_unknown().items() if key not in gone]:
        raise Failure("\n".join(lines))


def find_gone(engine: Engine, plan: Plan, keys: Collection[str]) -> set[str]:
    """Those of these nodes whose machine a refresh finds no more, which changes nothing."""
    machines = find_machines(engine.resources(), plan, keys)
    log = EventLog(engine.folder / "gone.json")
    targets = [word for one in machines.values() for word in ("--target", str(one["urn"]))]
    try:
        engine.run(
            "refresh",
            "--preview-only",
            "--suppress-outputs",
            "--config-file",
            str(engine.config_file),
            "--event-log",
            str(log.path),
            *targets,
            folder=ROOT,
        )
    except Failure:  # what cannot be read is not known to be gone
        return set()
    seen = [event.get("resOutputsEvent", {}).get("metadata", {}) for event in log.read()]
    deleted = {metadata["urn"] for metadata in seen if metadata.get("op") == "delete"}
    return {key for key, one in machines.items() if one["urn"] in deleted}


def wait_for(
    engine: Engine,
    plan: Plan,
    keys: Collection[str],
    told: Machines,
    words: Collection[str],
    seconds: float,
) -> Machines:
    """Ask for the machines of these nodes, of which the cloud `told` so far, until it says that none has any of these
    words; a Failure names those that still have, or may have. Returns what it said last."""
    until, pace = time.monotonic() + seconds, Pace(progress)
    while waiting := told.list_waiting(words):
        if time.monotonic() > until:
            raise Failure("\n".join(f"{key}: after {seconds:g} s {said}" for key, said in waiting.items()))
        for key, said in waiting.items():
            pace.say(f"Waiting for {key}", said)
        time.sleep(PAUSE_SECONDS)
        told = ask_power(engine, plan, keys)
    return told


def read_token(engine: Engine, request: Request, question: Question) -> str:
    """Return the bearer token of a request: its own, or the one that the provider uses."""
    if not request.function:
        return request.token
    (answer,) = ask(engine, [question])
    if answer.error:
        raise Failure(f"{request.function}: {answer.error}")
    return str(answer.values[request.field])


def call(key: str, request: Request, token: str) -> None:
    """Do a request. A Failure has the interface's own words."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        with urlopen(Call(request.url, json.dumps(request.body).encode(), headers, method="POST"), timeout=CALL_SECONDS):
            return
    except HTTPError as error:
        said = f"{error.code} {error.reason} {error.read(500).decode(errors='replace')}".strip()
    except (URLError, TimeoutError) as error:
        said = str(getattr(error, "reason", error))
    raise Failure(f"{key} could not be started: {said}")
