"""The Python environment, with nothing installed for real."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.tools.side_by_side import side_by_side
from tools import environment
from tools.environment import SetupError, ensure_environment, ensure_extra, link_environment


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(environment, "say", said.append)
    return said


def test_two_first_runs_make_one_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], environment: object = None) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        time.sleep(0.2)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(environment, "run", run)
    # The stand-in for pip writes nothing, so the folder has to be there.
    monkeypatch.setattr("shutil.rmtree", lambda path, ignore_errors: path.mkdir())
    clones = [tmp_path / "one", tmp_path / "other"]
    for clone in clones:
        clone.mkdir()
    made: list[Path] = []
    side_by_side(*(lambda clone=clone: made.append(ensure_environment(clone, tmp_path / "cache")) for clone in clones))
    assert len(made) == 2
    assert made[0] == made[1] == (clones[0] / ".venv").readlink() == (clones[1] / ".venv").readlink()
    assert [command[2] for command in commands] == ["venv", "pip"]
    assert "waiting for another run that is preparing the Python environment" in lines


def test_a_second_installation_of_an_extra_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    there: list[str] = []
    installed: list[str] = []

    def install(python: Path, name: str) -> None:
        time.sleep(0.3)
        installed.append(name)
        there.append("sdk==1")

    monkeypatch.setattr(environment, "install_with_pip", install)
    monkeypatch.setattr(environment, "read_requirements", lambda extra: ["sdk==1"])
    monkeypatch.setattr(environment, "is_installed", lambda requirement: requirement in there)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    side_by_side(lambda: ensure_extra("aws"), lambda: ensure_extra("aws"))
    assert installed == ["aws"]
    assert "waiting for another run that is installing Python packages" in lines


def test_an_index_out_of_reach_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@index.example/simple")
    tries: list[list[str]] = []

    def run(command: list[str], environment: object = None) -> subprocess.CompletedProcess[str]:
        if "install" in command:
            tries.append(command)
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found for pulumi")

    monkeypatch.setattr(environment, "run", run)
    with pytest.raises(SetupError, match=r"\(pip\) failed 3 times\. It asks index\.example\.") as caught:
        environment.install_with_pip(tmp_path / "python", "base")
    assert "secret" not in str(caught.value)
    assert len(tries) == 3
    assert len(lines) == 2


def test_a_checkout_of_somebody_else_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "checkout").write_text("no folder, so nobody can write there")
    with pytest.raises(SetupError, match=r"checkout/\.venv cannot be made: Not a directory\. Clone the repository into a folder"):
        link_environment(tmp_path / "checkout", tmp_path / "venv")


def test_an_extra_is_installed_for_every_checkout_of_the_environment(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
) -> None:
    venv = tmp_path / "venv"
    venv.mkdir()
    (tmp_path / ".venv").symlink_to(venv)
    pythons: list[Path] = []
    monkeypatch.setattr(environment, "install_with_pip", lambda python, name: pythons.append(python))
    monkeypatch.setattr(environment, "is_installed", lambda requirement: False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    ensure_extra("aws")
    assert pythons == [venv / "bin/python"]


def test_only_what_the_lock_file_names_by_its_hash_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], environment: object = None) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(environment, "run", run)
    environment.install_with_pip(tmp_path / "python", "aws")
    assert commands[0][-3:] == ["--require-hashes", "-r", str(environment.ROOT / "requirements/aws.lock")]


def test_a_lock_file_that_changes_gets_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LOCKS", tmp_path)
    monkeypatch.setattr(environment, "make_environment", lambda venv: None)
    made = set()
    for text in ("tool==1", "tool==2"):
        (tmp_path / "test.lock").write_text(text)
        made.add(ensure_environment(tmp_path, tmp_path / "cache"))
    assert len(made) == 2
