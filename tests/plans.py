"""Plans of settings that stand in no stack file."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue.service import Service
from components.model.plan import Plan
from components.model.planning import planner
from components.model.settings import Settings
from stacks.load import find_facts


def make_plan(settings: Settings, stack: str, catalogue: Mapping[str, Service] | None = None) -> Plan:
    """Plan settings on their cloud, with a catalogue of the test's own where it gives one."""
    return planner.make_plan(settings, stack, find_facts(settings.cloud), catalogue)
