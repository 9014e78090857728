"""Alert rules stand beside what they watch, ask for figures that somebody gives, and name commands that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from cli.__main__ import app
from cloud_init.node.health import figures
from components.model.catalogue import data, monitoring, node, telephony, web, webitel
from components.model.catalogue.alert import NODE, STACK, Severity
from components.model.catalogue.alerts import ALERTS, BY_FILE
from components.model.catalogue.alerts.monitoring import TOLD, UNTOLD
from components.model.catalogue.service import Placement
from components.model.catalogue.services import CATALOGUE
from components.model.catalogue.standby import take_turns
from components.model.catalogue.tiers import TIERS

RULES = [alert for alerts in ALERTS.values() for alert in alerts]
EXPRESSIONS = " ".join(alert.expression for alert in RULES)
PROGRAM = Path(figures.__file__).parents[1]
REST = {"clock", "emergency calls", "packet size", "access", "encryption", "mesh", "trust", "cookie", "restore", "quiet"}
"""Checks of the machine that `CheckFails` and `CheckWarns` tell of."""


@pytest.mark.parametrize("module", [node, data, telephony, webitel, web, monitoring])
def test_rules_stand_in_the_file_of_their_services(module: object) -> None:
    assert list(BY_FILE[str(vars(module)["__name__"]).rpartition(".")[2]]) == [
        service.name for service in vars(module)["SERVICES"]
    ]


def test_every_service_has_rules_in_the_catalogues_order_and_no_name_is_twice() -> None:
    assert list(ALERTS) == list(CATALOGUE)
    names = [alert.name for alert in RULES]
    assert len(names) == len(set(names))
    assert [alert.name for alert in RULES if alert.severity is Severity.HEARTBEAT] == ["Heartbeat"]


def test_every_figure_of_ours_is_one_that_the_node_program_gives() -> None:
    asked = set(re.findall(r"\bwebitel_\w+", EXPRESSIONS))
    assert asked and asked - set(figures.HELP) == set()


def list_checks() -> Iterator[str]:
    """The names of the rows that checks of the machine make: `{"name": ..., "healthy": ...}`, and what goes in rounds."""
    for path in PROGRAM.rglob("*.py"):
        for found in ast.walk(ast.parse(path.read_text())):
            if isinstance(found, ast.Dict):
                keys = {
                    key.value: value for key, value in zip(found.keys, found.values, strict=True) if isinstance(key, ast.Constant)
                }
                name = keys.get("name")
                if {"healthy", "why"} <= set(keys) and isinstance(name, ast.Constant):
                    yield str(name.value)
            elif isinstance(found, ast.Call) and ast.unparse(found.func) == "waiting.describe":
                yield ast.literal_eval(found.args[0])


def test_every_check_of_the_machine_is_told_of() -> None:
    assert set(list_checks()) == {*TOLD, UNTOLD, *REST}
    named = "|".join(re.findall(r'check=~?"([^"]*)"', EXPRESSIONS)).split("|")
    assert set(TOLD) <= set(named)
    (others,) = [alert.expression for alert in RULES if alert.name == "CheckWarns"]
    assert not any(re.search(rf'["|]{re.escape(name)}["|]', others) for name in REST)


def test_what_a_rule_asks_for_is_missed_when_it_is_not_there() -> None:
    """A comparison with what nobody has written is silent, whatever is wrong."""
    watched = {name for found in re.findall(r'__name__=~"([^"]*)"', EXPRESSIONS) for name in found.split("|")}
    others = {
        "webitel_certificate_days": "CertificateUnseen",
        "webitel_clock_offset_seconds": "ClockUnknown",
        "node_textfile_mtime_seconds": "ReportMissing",
        "patroni_primary": "DatabaseLeaderless",
    }
    asked = set(re.findall(r"\b[a-z]+_[a-z_A-Z]+(?=[\[{ )]|$)", re.sub(r'"[^"]*"', '""', EXPRESSIONS)))
    # The node program writes these whenever it writes at all.
    always = {name for name in asked if re.match(r"webitel_(service|probe|machine|disk)_", name)}
    assert asked - watched - always - {"probe_success"} <= set(others)
    assert all(any(alert.name == name for alert in RULES) for name in others.values())


@pytest.mark.parametrize("look", sorted({alert.look for alert in RULES}))
def test_where_to_look_is_a_command_that_names_the_deployment(look: str) -> None:
    """In a mail nobody knows which deployment it is about, and commands take `local-single` where none is named."""
    assert NODE in look or STACK in look
    program, name, *rest = look.replace(NODE, "aws-basic-edge-1").replace(STACK, "aws-basic").split(" ")
    assert program == "./webitel" and rest[0].startswith("aws-basic")
    given = typer.main.get_command(app).commands[name].make_context(name, rest).params  # type: ignore[attr-defined]
    if name == "logs":
        # Without units the node has no log to show.
        service = CATALOGUE[given["service"]]
        assert all([service.units, *service.units_by_source.values()])


def test_the_log_that_a_rule_names_is_on_the_node_that_it_watches() -> None:
    everywhere = {name for name, service in CATALOGUE.items() if service.placement is Placement.EVERY}
    for role in (role for tier in TIERS.values() for role in tier.roles):
        moving = {name for name, service in take_turns(CATALOGUE).items() if service.moves and name in role.services}
        here = {*role.services, *everywhere, *(("locks",) if moving else ())}
        for alert in (alert for name in role.services for alert in ALERTS[name] if alert.look.startswith("./webitel logs ")):
            assert alert.look.split(" ")[-1] in here, alert
