"""The plan as a Mermaid diagram: who reaches which role on which ports."""

from __future__ import annotations

from components.model.catalogue.services import CATALOGUE
from components.model.plan import Node, Opening, Plan

NAMED = 3
"""Nodes of a role that are named one by one."""


def draw_plan(plan: Plan) -> str:
    """Return a Mermaid flow chart: roles with their nodes, an arrow from every audience and every role that may connect."""
    lines = ["flowchart LR"]
    arrows: dict[tuple[str, str], list[str]] = {}
    for opening in plan.openings:
        if opening.networks:
            arrows.setdefault((opening.audience, opening.role), []).append(describe(opening))
        for role in opening.roles:
            if role != opening.role:
                arrows.setdefault((role, opening.role), []).append(CATALOGUE[opening.service].title)
    audiences = dict.fromkeys(source for source, _ in arrows if source not in plan.roles)
    lines += [f"  from_{audience}(({audience}))" for audience in audiences]
    lines.append(f'  subgraph network["{plan.facts.title} {plan.network}"]')
    lines += [f'    {role}["{describe_role([node for node in plan.nodes if node.role == role])}"]' for role in plan.roles]
    lines.append("  end")
    for (source, role), what in arrows.items():
        start = f"from_{source}" if source in audiences else source
        lines.append(f'  {start} -->|"{"<br/>".join(dict.fromkeys(what))}"| {role}')
    return "\n".join(lines)


def describe(opening: Opening) -> str:
    """Return such as `443/tcp nginx`."""
    return f"{opening.ports}/{opening.protocol} {CATALOGUE[opening.service].title}"


def describe_role(nodes: list[Node]) -> str:
    """Return the nodes of a role and their machine types."""
    keys = [node.key for node in nodes]
    names = ", ".join(keys) if len(keys) <= NAMED else f"{keys[0]} to {keys[-1]}"
    return "<br/>".join([names, *dict.fromkeys(node.machine_type.name for node in nodes)])
