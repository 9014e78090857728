"""The protection from deletion that a cloud itself keeps beside Pulumi's own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cli.engine.ask import ask
from cli.engine.engine import Engine, set_for_this_run
from cli.engine.pending import make_question
from cli.engine.rollout import report_failure, run_engine
from components.model.plan import Plan


def lift_protection(engine: Engine, plan: Plan, again: str, urns: Sequence[str]) -> None:
    """Have the cloud let these be deleted: by an update of their own, before anything is touched that would not come back.

    Machines of versions before this one have such a guard as well, and the program takes it away in any case.
    """
    if not (guard := plan.facts.deletion_guard):
        return
    wanted = set(urns)
    guarded = [one["urn"] for one in engine.resources() if one["urn"] in wanted and (one.get("inputs") or {}).get(guard)]
    if not guarded:
        return
    set_for_this_run(engine, "release_data", "true")
    targets = [word for urn in guarded for word in ("--target", urn)]
    report_failure(run_engine(engine, plan.nodes, "up", *targets), again, plan)


def keep_default_network(engine: Engine, plan: Plan, forget: bool) -> str:
    """Have `destroy` leave alone a network that became its region's default, which the cloud never deletes: it stays in the
    state, protected, or `forget`s it. Returns the network's name, "" = there is none such."""
    type, function = plan.facts.lasting_network
    if not type:
        return ""
    state = engine.export()
    resources = state["deployment"].get("resources", [])
    networks = [one for one in resources if one["type"] == type]
    answers = ask(engine, [make_question(one, function, {"id": one["id"]}, resources) for one in networks])
    for network, answer in zip(networks, answers, strict=True):
        # What cannot be asked for, as it is gone already, is left to the deletion itself, which tells why.
        if not answer.error and answer.values["default"]:
            network["retainOnDelete" if forget else "protect"] = True
            engine.run("stack", "import", stdin=json.dumps(state))
            return str(answer.values["name"])
    return ""
