"""The README's table: every rule of the facts stands there once, every file and test that it names exists."""

import ast
import re
from pathlib import Path

FOLDER = Path(__file__).parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (FOLDER / "README.md").read_text().partition("## Which rule")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| ")
][1:]


def test_every_surprise_has_its_row() -> None:
    assert [int(row[0].split()[0]) for row in ROWS if row[0][0].isdecimal()] == [*range(1, 29)]
    assert len(ROWS) == 28 + 6


def test_every_file_named_exists() -> None:
    for rule, files, _ in ROWS:
        for name in re.findall(r"`([^`]+)`", files):
            names = [name.replace("<cloud>", cloud) for cloud in ("aws", "gcp", "azure", "digitalocean", "hetzner")]
            assert all((FOLDER / one).exists() for one in names), (rule, name)


def test_every_test_named_exists() -> None:
    known = {
        f"{path.stem.removeprefix('test_')}::{one.name.removeprefix('test_')}"
        for path in FOLDER.rglob("test_*.py")
        for one in ast.parse(path.read_text()).body
        if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    }
    text = (FOLDER / "README.md").read_text()
    assert {*re.findall(r"`(\w+::\w+)`", text)} - {"x::y"} <= known
    for rule, _, tests in ROWS:
        named = re.findall(r"`([^`]+)`", tests)
        assert named, rule
        assert {*named} <= known, rule
