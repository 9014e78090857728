"""`test`: which commands a choice of parts runs, and what its table says of them."""

import fcntl
import re
import subprocess
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cli.commands import test as command
from cli.console import Failure
from cli.develop.parts import ONLY_BY_NAME, PARTS, PYTEST, SWEEP, UNIT_FOLDERS
from tools.host import apt
from tools.incus import daemon, images

ROOT = Path(__file__).resolve().parents[3]


class Ran:
    """What was run in place of the checks; `statuses` by the last word of a command."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.statuses: dict[str, int] = {}

    @property
    def tests(self) -> list[list[str]]:
        """Without what only clears up."""
        return [words for words in self.commands if tuple(words) != SWEEP]

    def __call__(self, words: tuple[str, ...], **options: Any) -> SimpleNamespace:
        self.commands.append(list(words))
        status = next((status for word, status in self.statuses.items() if word in words), 0)
        return SimpleNamespace(returncode=status, stdout="")


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ran:
    made = Ran()
    monkeypatch.setattr(subprocess, "run", made)
    monkeypatch.setattr(command, "list_changes", lambda root: set())
    monkeypatch.setattr("tools.environment.ensure_extra", lambda extra: None)
    monkeypatch.setattr(apt, "install_stopped", lambda packages, progress: None)
    monkeypatch.setattr(daemon, "is_answering", lambda: True)
    monkeypatch.setattr(images, "cache_directory", lambda: tmp_path / "cache")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return made


def run(*words: str) -> tuple[int, str]:
    """Exit status and what was printed."""
    app = typer.Typer()
    command.register(app)
    app.callback()(lambda: None)
    done = CliRunner().invoke(app, ["test", *words])
    if isinstance(done.exception, Failure):
        raise done.exception
    return done.exit_code, done.output


def test_all_parts_but_those_that_are_named_only(ran: Ran) -> None:
    assert run()[0] == 0
    assert len(ran.tests) == sum(len(steps) for part, steps in PARTS.items() if part not in ONLY_BY_NAME)


def test_what_ended_runs_left_behind_is_deleted_before_the_tests_on_nodes_and_after(ran: Ran) -> None:
    run("unit", "local")
    assert [tuple(words) == SWEEP for words in ran.commands] == [False, True, False, True]


def test_a_part_of_its_own_for_what_reads_the_code_only(ran: Ran) -> None:
    run("lint")
    assert [words[-1] for words in ran.commands] == [step.command[-1] for step in PARTS["lint"]]
    assert not any("pytest" in words for words in ran.commands)


def test_every_part_prints_its_slowest_ten() -> None:
    assert [step.name for part, steps in PARTS.items() if part != "lint" for step in steps if not step.is_pytest] == []
    assert PYTEST[PYTEST.index("--durations") + 1] == "10"


@pytest.mark.parametrize("part", [part for part in PARTS if part not in ("lint", "unit")])
def test_every_file_with_a_parts_mark_stands_in_its_folders(part: str) -> None:
    folders = [word for step in PARTS[part] for word in step.command if word.startswith("tests/")]
    marked = [file for file in (ROOT / "tests").rglob("test_*.py") if re.search(rf"pytest\.mark\.{part}\b", file.read_text())]
    assert marked and not [file for file in marked if not any(file.is_relative_to(ROOT / folder) for folder in folders)]


def test_every_file_outside_of_the_unit_tests_folders_has_a_parts_mark() -> None:
    others = [
        file for file in (ROOT / "tests").rglob("test_*.py") if not any(file.is_relative_to(ROOT / name) for name in UNIT_FOLDERS)
    ]
    mark = re.compile(rf"^pytestmark = [^=]*?pytest\.mark\.({'|'.join(PARTS)})\b", re.MULTILINE)
    assert others and not [file for file in others if not mark.search(file.read_text())]


def test_words_go_to_pytest(ran: Ran) -> None:
    run("unit", "--", "-k", "firewall")
    (words,) = ran.commands
    assert words[-2:] == ["-k", "firewall"] and "pytest" in words and "-n" not in words


def test_words_for_what_runs_no_pytest_are_refused(ran: Ran) -> None:
    with pytest.raises(Failure, match=r"lint does not run pytest, which -k firewall is for"):
        run("lint", "--", "-k", "firewall")
    assert ran.commands == []


def test_an_unknown_part_is_refused(ran: Ran) -> None:
    with pytest.raises(Failure, match="no part firewall; the parts are lint, unit"):
        run("unit", "firewall")


def test_a_part_without_tests_is_no_good_one(ran: Ran) -> None:
    ran.statuses = {"engine": 5}
    status, said = run("unit", "engine")
    assert status == 1 and "engine tests: none found" in said


def test_a_choice_has_to_find_a_test_in_one_part_only(ran: Ran) -> None:
    ran.statuses = {"engine": 5}
    assert run("unit", "engine", "--", "-k", "firewall")[0] == 0
    ran.statuses = {"pytest": 5}
    assert run("unit", "engine", "--", "-k", "nonsense")[0] == 1
    ran.statuses = {"engine": 5, "pytest": 1}
    assert run("unit", "engine", "--", "-k", "firewall")[0] == 1


def test_a_second_run_waits_for_the_nodes(ran: Ran, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    with (tmp_path / "cache/test-nodes.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        second = threading.Thread(target=run, args=("unit", "local"))
        second.start()
        second.join(1)
        assert second.is_alive()
        assert not any("local" in words for words in ran.commands) and len(ran.commands) == 1
    second.join(10)
    assert any("local" in words for words in ran.commands)


def test_only_root_runs_the_sandbox_with_several_workers(ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    for user, several in ((0, True), (1000, False)):
        ran.commands.clear()
        monkeypatch.setattr("os.geteuid", lambda user=user: user)
        run("sandbox")
        assert ("-n" in ran.commands[0]) is several
