"""Before the first machine is made on a cloud: what the cloud would refuse, asked for all at once."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cli.cloud.check import Check, RefusedError
from cli.cloud.checks import judge
from cli.cloud.credentials import Found, find_credentials
from cli.cloud.questions import Answers, ask_with, find_lacking_plugin, list_made, list_nodes, read_provider_config
from cli.console import format_count, progress
from cli.engine.engine import Engine
from components.model.plan import Plan

SECONDS = 15.0
"""For all answers together, with the start of the engine and the provider that ask."""


def refuse_what_is_refused(engine: Engine, plan: Plan, anew: Sequence[str] = ()) -> None:
    """Raise a RefusedError with everything that the cloud would refuse, where machines are to be made; `anew` are the keys of
    nodes that get a new one. What got no answer is said, and no reason to stop. Changes nothing."""
    if not plan.facts.real:
        return
    made = list_made(engine.resources())
    if not anew and len(list_nodes(made, plan)) == len(plan.nodes):
        return
    if lacking := install_plugin(engine, plan):
        # The engine tries as well, and says what that means.
        progress(f"{plan.facts.title} is not asked what it would refuse: {lacking}")
        return
    found = find_credentials(plan.facts, read_provider_config(plan))
    progress(f"Asking {plan.facts.title} what it would refuse: at most {SECONDS:g} s.")
    answers = ask_with(engine, plan, made, time.monotonic() + SECONDS)
    checks = [*judge_account(plan, found, answers), *judge(plan, answers, anew)]
    for check in checks:
        if check.state == "note":
            progress(f"  {check.name}: {check.found}: {check.mend}")
    if problems := [check for check in checks if check.state == "MISSING"]:
        lines = "\n".join(f"  {check.name}: {check.found}; {check.mend}" for check in problems)
        raise RefusedError(
            f"{plan.facts.title} would refuse {format_count(len(problems), 'thing')}. Nothing was created.\n{lines}\n"
            f"Use --no-ask to go ahead despite these answers. Everything that is missing: ./webitel doctor {plan.stack}"
        )


def find_server(package: str) -> str:
    """Return where the plugin of a provider that is not Pulumi's own comes from, as its SDK says; "" = from Pulumi."""
    # Looked up and not imported: an SDK takes seconds.
    found = importlib.util.find_spec(f"pulumi_{package.replace('-', '_')}")
    folders = [Path(one) for one in (found and found.submodule_search_locations) or ()]
    files = [folder / "pulumi-plugin.json" for folder in folders]
    return next((str(json.loads(file.read_text()).get("server") or "") for file in files if file.exists()), "")


def judge_account(plan: Plan, found: Found, answers: Answers) -> Iterator[Check]:
    """Check whether the cloud takes the credentials: they may also come from where only the provider looks."""
    if not (said := answers.errors.get("account")):
        return
    if "account" in answers.late:
        yield Check(plan.facts.title, "not asked", said, waits=True)
    elif found.missing:
        yield from (Check(what, "none found", f"{remedy} ({said})") for what, remedy in found.missing.items())
    else:
        yield Check("credentials", f"{', '.join(found.names)}: {said}", f"replace them: {found.remedy}")


def install_plugin(engine: Engine, plan: Plan) -> str:
    """Install the provider's plugin, which the engine would do a moment later: without it nobody can be asked. Returns why it is
    not there, "" = it is."""
    package = plan.facts.package
    if not find_lacking_plugin(plan):
        return ""
    version = importlib.metadata.version(f"pulumi-{package}")
    progress(f"Installing Pulumi's provider {package} {version}.")
    server = find_server(package)
    place = ["--server", server] if server else []
    install = [str(engine.binary), "plugin", "install", "resource", package, f"v{version}", *place]
    done = subprocess.run(
        [*install, "--non-interactive", "--color", "never"],
        cwd=engine.folder,
        env=engine.environment,
        text=True,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return "" if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}"
