"""Tests on real nodes run in two workers: each has a shared deployment and its tests in order, and all figures are printed."""

import os
import subprocess
import sys
from pathlib import Path

from tests.local.conftest import SECOND_WORKER

ROOT = Path(__file__).resolve().parents[2]

CONFTEST = """
import os, pathlib, pytest
from tests.local.conftest import (figure, pytest_collection_modifyitems, pytest_configure, pytest_sessionfinish,
                                  pytest_terminal_summary, pytest_testnodedown, pytest_xdist_make_scheduler)

@pytest.fixture(scope="session")
def single():
    yield "shared"

@pytest.fixture
def healthy(single):
    return single

@pytest.fixture(autouse=True)
def said(request):
    with open(pathlib.Path(__file__).parent / "said", "a") as said:
        said.write(f"{os.environ['PYTEST_XDIST_WORKER']} {request.node.name}\\n")
"""
FILES = {
    "test_secrets.py": "def test_secrets(healthy): pass\n",
    "test_up.py": "def test_up(single, figure): figure('up', 1.0)\ndef test_again(single): pass\n",
    "test_incus.py": "def test_incus(figure): figure('incus', 2.0)\n",
    "test_interruptions.py": "def test_killed(): pass\n",
    "test_outages.py": "def test_outage(healthy): pass\n",
}


def test_groups_order_and_figures(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    folder.mkdir()
    for name, text in {"conftest.py": CONFTEST, **FILES}.items():
        (folder / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-p", "no:cacheprovider", str(folder)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ran: dict[str, list[str]] = {}
    for line in (folder / "said").read_text().splitlines():
        worker, test = line.split()
        ran.setdefault(worker, []).append(test)
    assert sorted(ran.values()) == [["test_incus", "test_killed", "test_outage"], ["test_up", "test_again", "test_secrets"]]
    assert "up: 1.0 s" in done.stdout and "incus: 2.0 s" in done.stdout


def test_the_second_workers_files_are_there() -> None:
    """A file that was renamed would go to the first worker without a word, and the whole would take minutes longer."""
    assert [name for name in SECOND_WORKER if not (ROOT / f"tests/local/{name}.py").is_file()] == []
