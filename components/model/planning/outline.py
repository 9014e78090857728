"""What a deployment remembers of its plan, so that a later preview can tell what a change costs and opens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from components.model.plan import Opening, Plan
from components.model.planning.firewall import ANYWHERE

INNER = " nodes"
"""How the line of an opening to other nodes ends."""


def outline(plan: Plan) -> dict[str, Any]:
    """Return the price, the bill and the openings of a plan as plain values: {"price": {amount, currency, as_of},
    "bill": {line: amount}, "openings": [line]}.

    A line is one opening to one source, so that two outlines differ in exactly what was opened and closed.
    """
    lines = [line for opening in plan.openings for line in describe_opening(opening)]
    bill = {line.what: line.amount for line in plan.bill}
    return {"price": asdict(plan.monthly_price), "bill": bill, "openings": list(dict.fromkeys(lines))}


def describe_opening(opening: Opening) -> Iterator[str]:
    """Return lines such as `edge 443/tcp nginx from the internet`, a line a source."""
    what = f"{opening.role} {opening.ports}/{opening.protocol} {opening.service}"
    for network in opening.networks:
        yield f"{what} from {'the internet' if network == ANYWHERE else f'{opening.audience} {network}'}"
    for role in opening.roles:
        yield f"{what} from {role}{INNER}"
