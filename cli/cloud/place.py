"""Where a new deployment stands: only where the cloud has its machine types for this very account."""

from __future__ import annotations

import typer

from cli.cloud.checks import judge_machine_types
from cli.cloud.credentials import find_credentials
from cli.cloud.questions import ask_cloud, find_obstacle, read_provider_config
from cli.console import is_terminal, out, progress
from components.model.clouds.offers import Offers
from components.model.plan import Plan
from components.model.problems import PlanError
from components.model.settings import Settings
from stacks.edit import set_setting
from stacks.load import load_deployment, make_deployment
from stacks.settings import stack_file

SECONDS = 15.0
"""For the answers of a cloud."""


def settle_place(stack: str) -> None:
    """Write the first zone that has every machine type into a new stack file, and ask for another region where none has. Without
    credentials nobody is asked, which is said."""
    while True:
        settings, plan = (deployment := load_deployment(stack)).settings, deployment.plan
        if not (offers := ask_offers(plan)):
            return
        lacking = [check for check in judge_machine_types(plan, plan.nodes, offers) if check.state != "ok"]
        if not lacking:
            out.print(f"{plan.facts.title} has all machine types in {describe_place(plan, offers)}.")
            return
        fit = [] if settings.zones else list_fit(plan, offers)  # zones of a copied file are for its owner to choose
        if offers.setting == "zone" and fit:
            set_setting(stack_file(stack), "zone", fit[0])
            out.print(f"Zone {fit[0]}: {describe_place(plan, offers)} lacks machine types that {', '.join(fit)} have.")
            return
        for check in lacking:
            out.print(f"{check.found}; {check.mend}")
        if not is_terminal():
            return
        wish = ", ".join(fit) if offers.setting == "region" else "another one"
        if not (region := ask_region(stack, settings, wish)):
            return
        set_setting(stack_file(stack), "region", region)


def ask_region(stack: str, settings: Settings, wish: str) -> str:
    """Ask for another region until one can be planned; "" = none is wanted."""
    while region := str(typer.prompt(f"Region ({wish}; empty leaves it)", default="", show_default=False)).strip():
        try:
            make_deployment(settings.model_copy(update={"region": region}), stack)
        except PlanError as error:
            out.print(str(error))
        else:
            break
    return region


def ask_offers(plan: Plan) -> Offers | None:
    """Return what the cloud offers where; None, and a line that says why, where it cannot be asked."""
    found = find_credentials(plan.facts, read_provider_config(plan))
    obstacle = "no credentials here" if found.missing else find_obstacle(plan)
    if not obstacle:
        progress(f"Asking {plan.facts.title} where it has these machine types: at most {SECONDS:g} s.")
        answers = ask_cloud(plan, seconds=SECONDS)
        if answers.offers:
            return answers.offers
        obstacle = answers.errors.get("offers") or answers.errors.get("account", "no answer")
    out.print(f"Whether {plan.facts.title} has the machine types there was not asked: {obstacle}. `doctor` and `up` do.")
    return None


def list_fit(plan: Plan, offers: Offers) -> list[str]:
    """Return the places that have every machine type of the plan."""
    wanted = {node.machine_type.name for node in plan.nodes}
    return [place for place, types in sorted(offers.types.items()) if wanted <= set(types)]


def describe_place(plan: Plan, offers: Offers) -> str:
    """Return such as `eu-central-1 zone a`."""
    return f"{plan.region} zone {', '.join(plan.zones)}" if offers.setting == "zone" else plan.region
