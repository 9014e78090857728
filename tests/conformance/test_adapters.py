"""What an adapter must not know, and how large it may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from components.model.clouds import CLOUDS
from components.model.services import CATALOGUE
from components.model.tiers import TIERS

FOLDER = Path(__file__).resolve().parents[2] / "components/clouds"
ADAPTERS = [name for name in CLOUDS if CLOUDS[name].real]
LINES = 250

PORTS = {
    port for service in CATALOGUE.values()
    for ports in (*(listener.ports for listener in service.listeners), *(egress.ports for egress in service.egress))
    for port in (ports.first, ports.last)
}
ROLES = {role.name for tier in TIERS.values() for role in tier.roles}
WORDS = {*CATALOGUE, *TIERS, *ROLES, *CLOUDS}

OWN_WORDS = {"all", "ssh"}
"""Of clouds too: a protocol, the tag of a key."""

OWN_NUMBERS = {3000}
"""Also IOPS of a disk."""


def constants(name: str) -> list[tuple[int, object]]:
    """The constants of an adapter's code with their lines, documentation left out."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    documentation = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    return [
        (one.lineno, one.value) for one in ast.walk(tree) if isinstance(one, ast.Constant) and id(one) not in documentation]


@pytest.mark.parametrize("name", ADAPTERS)
def test_names_no_port_service_role_tier_or_other_cloud(name: str) -> None:
    found = []
    for line, value in constants(name):
        if isinstance(value, str):
            numbers = {int(text) for text in re.findall(r"(?<![\d./])\d{2,5}(?![\d./])", value)}
            found += [f"line {line}: {value}" for _ in numbers & (PORTS - OWN_NUMBERS)]
            found += [f"line {line}: {value}" for _ in {value} & (WORDS - OWN_WORDS - {name})]
        elif isinstance(value, int) and value > 9 and value in PORTS - OWN_NUMBERS:
            found.append(f"line {line}: {value}")
    assert found == []


@pytest.mark.parametrize("name", ADAPTERS)
def test_is_small(name: str) -> None:
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) <= LINES


@pytest.mark.parametrize("name", ADAPTERS)
def test_loads_its_own_sdk_only(name: str) -> None:
    program = (
        f"import sys, components.clouds.{name}\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules if m.startswith('pulumi_')}))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=FOLDER.parents[1], capture_output=True, text=True, check=True).stdout.split()
    assert shown == [f"pulumi_{CLOUDS[name].package.replace('-', '_')}"]
