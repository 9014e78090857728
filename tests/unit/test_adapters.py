"""What an adapter must not know, and how large it may be."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from components.clouds.registry import CLOUDS
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.tiers import TIERS

FOLDER = Path(__file__).resolve().parents[2] / "components/clouds"
ADAPTERS = [name for name in CLOUDS if CLOUDS[name].real]
LINES = 370
"""As the formatter writes them, an argument a line."""

PORTS = {
    port
    for service in CATALOGUE.values()
    for ports in (*(listener.ports for listener in service.listeners), *(egress.ports for egress in service.egress))
    for port in (ports.first, ports.last)
}
ROLES = {role.name for tier in TIERS.values() for role in tier.roles}
WORDS = {*CATALOGUE, *TIERS, *ROLES, *CLOUDS}

OWN_WORDS = {"all", "ssh"}
"""Of clouds too: a protocol, the tag of a key."""

NETWORK = re.compile(r"\d+(\.\d+){3}(/\d+)?")

OWN_NUMBERS = {3000}
"""Also IOPS of a disk."""


def read(name: str) -> str:
    """The code of an adapter."""
    return (FOLDER / name / "adapter.py").read_text()


def constants(code: str) -> list[tuple[int, object]]:
    """The constants of code with their lines, documentation left out."""
    tree = ast.parse(code)
    documentation = {id(one.value) for one in ast.walk(tree) if isinstance(one, ast.Expr)}
    return [(one.lineno, one.value) for one in ast.walk(tree) if isinstance(one, ast.Constant) and id(one) not in documentation]


def find_knowledge(name: str, code: str) -> list[str]:
    """Where the code of an adapter names a port, or a service, role, tier or other cloud."""
    found = []
    for line, value in constants(code):
        if isinstance(value, str):
            numbers = {int(text) for text in re.findall(r"\b\d{2,5}\b", NETWORK.sub("", value))}
            words = {word for word in WORDS - OWN_WORDS - {name} if re.search(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])", value)}
            if words or numbers & (PORTS - OWN_NUMBERS):
                found.append(f"line {line}: {value}")
        elif isinstance(value, int) and value > 9 and value in PORTS - OWN_NUMBERS:
            found.append(f"line {line}: {value}")
    return found


def is_small(code: str) -> bool:
    """Whether code is short enough for an adapter."""
    return len(code.splitlines()) <= LINES


@pytest.mark.parametrize("name", ADAPTERS)
def test_names_no_port_service_role_tier_or_other_cloud(name: str) -> None:
    assert find_knowledge(name, read(name)) == []


@pytest.mark.parametrize(
    "planted",
    [
        "PORT = 5060",
        "PORTS = range(10000, 20001)",
        'open("5061")',
        'rule(ports=["80", "443"])',
        'rule(port="10000-20000")',
        'rule("udp/5060")',
        'rule("443/tcp")',
        'name = "opensips-1"',
        'f"webitel-api-{node}"',
        'f"{node}-edge"',
        "if port == 5432: pass",
        'SIP = f"port {5060}"',
        'name = f"sip-5060-{node}"',
        'node.services["opensips"]',
        '{"rabbitmq": 1}',
        'if "postgresql" in node.services: pass',
        'TIER = "extended"',
        'if plan.tier == "single": pass',
        'match tier:\n    case "basic":\n        pass',
        'if node.role == "db": pass',
        'role in ("edge", "sip")',
        'def f(role="media"): pass',
        'if cloud == "azure": pass',
    ],
)
def test_what_an_adapter_must_not_know_is_found(planted: str) -> None:
    body = planted.replace("\n", "\n    ")
    code = f"{read('aws')}\n\ndef more(plan, node, tier, role, port, cloud, rule):\n    {body}\n"
    (found,) = {text.partition(":")[0] for text in find_knowledge("aws", code)}
    assert int(found.removeprefix("line ")) > len(read("aws").splitlines())


@pytest.mark.parametrize(
    "fine",
    [
        '"""Opens 5060 and opensips of extended."""',
        "# 5060\nx = 1",
        'block = "10.0.50.0/24"',
        'kind = "aws"',
        "iops = 3000",
        'protocol = "all"',
        "count = 5",
    ],
)
def test_what_an_adapter_may_know_is_not(fine: str) -> None:
    assert find_knowledge("aws", fine) == []


@pytest.mark.parametrize("name", ADAPTERS)
def test_is_small(name: str) -> None:
    assert is_small(read(name))


def test_a_line_too_many_is_found() -> None:
    assert is_small("x = 1\n" * LINES)
    assert not is_small("x = 1\n" * (LINES + 1))
