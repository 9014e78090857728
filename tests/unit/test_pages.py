"""The pages for people are as the code says, and the README is short."""

import dataclasses
import re

import pytest

from cli.develop.parts import ONLY_BY_NAME, PARTS
from cli.drills.run import Outcome
from components.model.planning.planner import plan_to_json
from components.model.report import AlertRow, DiskRow, MachineRow, NodeReport, ServiceRow
from components.model.settings import Settings
from stacks.load import load_deployment, make_deployment
from tools.pages import PAGES, ROOT, renew

RENEW = "run: PYTHONPATH=. .venv/bin/python -m tools.pages"
README_WORDS = 900


@pytest.mark.parametrize("page", PAGES)
def test_blocks_are_current(page: str) -> None:
    text = (ROOT / page).read_text()
    assert text == renew(text), RENEW


def test_every_page_with_a_block_is_renewed() -> None:
    pages = [ROOT / "NOTICE", *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    assert {str(page.relative_to(ROOT)) for page in pages if "\n<!-- /" in page.read_text()} == {*PAGES}


def test_every_setting_has_its_row() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    assert [name for name in Settings.model_fields if f"\n| `{name}` | " not in text] == []


def documented(command: str) -> set[str]:
    """Names that the section of a command on the page about JSON has."""
    text = (ROOT / "docs/operate/json.md").read_text().partition(f"## `{command}`\n")[2].partition("\n## ")[0]
    return set(re.findall(r"`(\w+)(?:\[\])?`", text))


def names_in(value: object) -> set[str]:
    """Every name in a JSON value."""
    if isinstance(value, dict):
        return {*value, *(name for inner in value.values() for name in names_in(inner))}
    return {name for inner in value for name in names_in(inner)} if isinstance(value, list) else set()


def test_the_json_of_a_plan_is_documented() -> None:
    settings = load_deployment("aws-basic").settings.model_copy(update={"kept_disks": ("data-2",)})
    assert names_in(plan_to_json(make_deployment(settings, "aws-basic").plan)) - documented("plan") == set()


def test_the_json_of_a_status_is_documented() -> None:
    names = {name for part in (NodeReport, ServiceRow, DiskRow, MachineRow, AlertRow) for name in part.model_fields}
    assert names - documented("status") == set()


def test_the_json_of_a_drill_is_documented() -> None:
    assert {field.name for field in dataclasses.fields(Outcome)} - documented("drill") == set()


def test_every_part_of_the_tests_is_told() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
    told = {part: "by name only" in what for part, what in rows}
    assert told == {part: part in ONLY_BY_NAME for part in PARTS}


def test_every_attack_that_is_told_is_a_test() -> None:
    page = (ROOT / "docs/operate/security.md").read_text()
    told = [
        (name, part)
        for names, part in re.findall(r"((?:`test_\w+`(?:, )?)+) \((\w+)\)", page)
        for name in re.findall(r"\w+", names)
    ]
    assert len(told) == len(re.findall(r"`test_\w+`", page)) > 0
    sources = {part: "\n".join(path.read_text() for path in (ROOT / "tests" / part).rglob("test_*.py")) for _, part in told}
    assert [name for name, part in told if f"def {name}(" not in sources[part]] == []


def test_the_readme_is_short() -> None:
    # A table's bars and dashes are nothing to read.
    words = len([word for word in (ROOT / "README.md").read_text().split() if re.search(r"\w", word)])
    assert words <= README_WORDS, f"{words} words; what is for later goes to docs/"


@pytest.mark.parametrize(
    ("text", "says"), [("<!-- nothing -->\n<!-- /nothing -->", "nobody makes the block"), ("<!-- tiers -->\n", "has no end")]
)
def test_a_block_that_cannot_be_made_is_an_error(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        renew(text)
