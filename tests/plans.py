"""Plans of settings that stand in no stack file, and what their nodes get."""

from __future__ import annotations

from collections.abc import Mapping

from cloud_init import compose
from cloud_init.compose import Configuration
from components.model.catalogue.service import Service
from components.model.plan import Node, Plan
from components.model.planning import planner
from components.model.settings import Settings
from sandbox import build
from stacks.load import find_facts


def make_plan(settings: Settings, stack: str, catalogue: Mapping[str, Service] | None = None) -> Plan:
    """Plan settings on their cloud, with a catalogue of the test's own where it gives one."""
    return planner.make_plan(settings, stack, find_facts(settings.cloud), catalogue)


def compose_configuration(plan: Plan, node: Node, settings: Settings) -> Configuration:
    """Compose what a node must have, as the program does."""
    return compose.compose_configuration(plan, node, settings, build)
