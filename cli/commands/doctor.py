"""`doctor`: what is missing on this machine for a deployment, each with the command that mends it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator

import typer

from cli.cloud.check import Check
from cli.console import DEFAULT_STACK, AsJson, StackName, format_count, make_table, out
from cli.help import DEPLOY
from cli.show.documents import doctor_document, print_document
from components.model.naming import bridge_name
from components.model.plan import Plan
from components.model.planning.planner import PlanError, documentation_values
from stacks.load import load_deployment
from stacks.settings import UnknownStackError

STYLES = {"ok": None, "note": "yellow", "MISSING": "red"}
DISK_GIB = 12
"""Images and one container of each, ours."""


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command(rich_help_panel=DEPLOY)(doctor)


def doctor(stack: StackName = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """List what a deployment still needs, with remedies. Exit status 0 if nothing is missing; changes nothing."""
    checks = [*check_machine(), *check_stack(stack)]
    if as_json:
        document = doctor_document(stack, checks)
        print_document(document)
        raise typer.Exit(0 if document["ready"] else 1)
    table = make_table("state", "what", "found", header=False)
    for check in checks:
        table.add_row(check.state, check.name, check.found, style=STYLES[check.state])
    out.print(table)
    for check in checks:
        if check.mend:
            out.print(f"{check.name}: {check.mend}")
    if any(check.state == "MISSING" for check in checks):
        raise typer.Exit(1)
    out.print(f"Next: ./webitel up {stack}")


def check_machine() -> Iterator[Check]:
    """Check what every deployment needs on this machine."""
    from tools.engine.environment import run_environment
    from tools.engine.find import find_made_engine
    from tools.host.apt import has_apt

    yield Check("Python", f"{sys.version.split()[0]} in {sys.prefix}")
    # `up` gets or builds one, so this alone is nothing to mend.
    yield Check("Pulumi engine", str(find_made_engine() or "none yet; `up` installs it, a few minutes once"))
    yield Check("Pulumi state", run_environment().get("PULUMI_BACKEND_URL", "your own (pulumi login)"))
    if shutil.which("ssh"):
        yield Check("ssh", str(shutil.which("ssh")))
    elif os.geteuid() == 0 and has_apt():
        yield Check("ssh", "none yet; `webitel ssh` installs it")
    else:
        yield Check("ssh", "missing; `webitel ssh` needs it", "sudo apt install openssh-client")


def check_stack(stack: str) -> Iterator[Check]:
    """Check what this deployment needs."""
    try:
        deployment = load_deployment(stack)
    except UnknownStackError as error:
        yield Check("stack", stack, str(error))
        return
    except PlanError as error:
        for problem in error.problems:
            yield Check("settings", problem.setting, str(problem))
        return
    plan = deployment.plan
    yield Check("stack", f"stacks/Pulumi.{stack}.yaml: {format_count(len(plan.nodes), 'node')} on {plan.facts.title}")
    problems = documentation_values(deployment.settings, plan.facts)
    for problem in problems:
        yield Check("settings", problem.setting, str(problem))
    if plan.facts.trial:
        yield from check_containers(plan)
    elif plan.facts.given:
        from cli.hosts.before import check_given

        if not problems:
            yield from check_given(plan, deployment.settings)
    else:
        from cli.cloud.checks import check_cloud

        yield from check_cloud(plan, {problem.setting.rpartition(":")[2] for problem in problems})


def check_network(plan: Plan) -> Iterator[Check]:
    """Check whether this host has room for the deployment's network, and lets what is in it out."""
    from tools.incus.forwarding import find_forwarding_problem
    from tools.incus.network import find_network_problem, read_routes

    bridge = bridge_name(plan.stack)
    taken = find_network_problem(bridge, plan.network, read_routes())
    yield Check("network", f"{plan.network} is free" if not taken else "taken", taken or "")
    if dropped := find_forwarding_problem(bridge):
        yield Check("forwarding", "dropped by this host's firewall", dropped)


def check_containers(plan: Plan) -> Iterator[Check]:
    """Check what containers on this machine need: Incus, network, memory, disk."""
    from tools.environment import SetupError
    from tools.incus.daemon import find_program, is_answering

    program = find_program()
    try:
        answers = is_answering()
    except SetupError as error:
        yield Check("Incus", program or "none", str(error))
    else:
        root = os.geteuid() == 0
        state = "answers" if answers else "installed, not running" if program else "not installed"
        mends = f"`up` {'starts' if program else 'installs'} it"
        yield Check(
            "Incus",
            f"{state}; {mends}" if root and not answers else state,
            "" if answers or root else f"sudo ./webitel up {plan.stack}",
        )
    yield from check_network(plan)
    wanted = sum(node.machine_type.memory_gib for node in plan.nodes)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Check(
        "memory",
        f"{memory:.1f} GiB, the nodes may use {wanted:g} GiB",
        "" if memory >= wanted * 0.9 else "take a smaller tier, or a machine with more memory",
    )
    free = shutil.disk_usage("/var/lib").free / 2**30
    yield Check("disk", f"{free:.0f} GiB free in /var/lib", "" if free >= DISK_GIB else f"free {DISK_GIB} GiB there")
