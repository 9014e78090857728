"""Every service that the catalogue calls a stand-in has one: a package of the sandbox, a unit, a program that the unit starts.
And `docs/facts/webitel.md` has a section that says what the real one does."""

import re
from pathlib import Path

import pytest
import yaml

from cloud_init.compose import Configuration
from components.model.catalogue.service import Service
from components.model.catalogue.services import CATALOGUE
from sandbox.build import all_packages, by_name
from sandbox.standin.behaviour import BEHAVIOURS, find_behaviour
from sandbox.webitel.packages import PROGRAM
from stacks.load import load_deployment
from tests.plans import compose_configuration, make_plan

ROOT = Path(__file__).resolve().parents[2]
STAND_INS = {name: service for name, service in CATALOGUE.items() if service.stand_in}
FROM_DEBIAN = {"curl"}
"""What Debian itself has of the packages that these services name."""
FACTS = yaml.safe_load((ROOT / "tests/facts/webitel-25.08.yaml").read_text())["services"]
START = re.compile(r"^ExecStart=(\S+)(?: (\w+))?", re.MULTILINE)


@pytest.fixture(scope="module")
def rendered() -> Configuration:
    """The only node of local-single, which has every service."""
    settings = load_deployment("local-single").settings
    plan = make_plan(settings, "local-single")
    return compose_configuration(plan, plan.node("all-1"), settings)


def read_unit(service: Service, unit: str, rendered: Configuration) -> str:
    """The text of a unit: ours, or that of a package of the service's."""
    if text := rendered.files.get(f"/etc/systemd/system/{unit}.service"):
        return text
    (found,) = [
        content
        for name in service.packages
        if name in by_name()
        for path, content in by_name()[name].files.items()
        if path.endswith(f"/{unit}.service")
    ]
    return found.read_text() if isinstance(found, Path) else found


@pytest.mark.parametrize("name", STAND_INS)
def test_its_packages_are_in_the_sandbox(name: str) -> None:
    packages = set(STAND_INS[name].packages)
    assert packages & by_name().keys()
    assert packages - by_name().keys() <= FROM_DEBIAN


@pytest.mark.parametrize(("name", "unit"), [(name, unit) for name, service in STAND_INS.items() for unit in service.units])
def test_its_unit_starts_a_program_of_its_packages(name: str, unit: str, rendered: Configuration) -> None:
    found = START.search(read_unit(STAND_INS[name], unit, rendered))
    assert found, f"{unit} starts nothing"
    program, command = found[1], found[2] or ""
    launchers = [by_name()[package].files.get(program) for package in STAND_INS[name].packages if package in by_name()]
    (launcher,) = [str(text) for text in launchers if text is not None]
    if "from standin.program import" in launcher:
        behaviour = find_behaviour(Path(program).name, command)
        assert behaviour and (behaviour.unit, behaviour.package in STAND_INS[name].packages) == (unit, True)


@pytest.mark.parametrize("name", STAND_INS)
def test_a_section_of_the_facts_is_about_it(name: str) -> None:
    text = (ROOT / "docs/facts/webitel.md").read_text()
    heading = rf"(?im)^### .*\b{re.escape(STAND_INS[name].title)}\b"
    assert re.search(heading, text), "no section of docs/facts/webitel.md is about it"


def test_no_stand_in_is_without_a_service_and_facts() -> None:
    assert BEHAVIOURS.keys() == FACTS.keys() and BEHAVIOURS.keys() <= STAND_INS.keys()
    named = {package for service in CATALOGUE.values() for package in service.packages}
    assert {package.name for package in all_packages()} - named == {PROGRAM.name}
