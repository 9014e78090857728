"""The start of the node program, also in the moment in which an application puts another version in its place."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_init.node import commands, manifest
from cloud_init.node.apply import configuration
from tests.unit.node.entries import service

PROGRAM = Path(manifest.__file__).parent

MIXED = """
import pathlib
seen = pathlib.Path({marks!r})
seen.write_text(seen.read_text() + "x" if seen.exists() else "x")
if len(seen.read_text()) <= {times}:
    from .manifest import what_the_other_version_has_not
def main(arguments):
    print(*arguments)
    return 7
"""
"""A module that was read from the other version's folder, so many times."""


@pytest.mark.parametrize(("times", "status", "said"), [(0, 7, "wait consul\n"), (1, 7, "wait consul\n"), (2, 1, "")])
def test_a_program_that_was_read_half_from_another_version_begins_anew_once(
    times: int,
    status: int,
    said: str,
    tmp_path: Path,
) -> None:
    place = tmp_path / "node"
    shutil.copytree(PROGRAM, place, ignore=shutil.ignore_patterns("__pycache__"))
    (place / "commands.py").write_text(MIXED.format(marks=str(tmp_path / "marks"), times=times))
    done = subprocess.run([sys.executable, str(place), "wait", "consul"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, said)
    assert ("ImportError" in done.stderr) == (times == 2)


def test_what_stands_on_a_node_is_compiled_once_and_never_taken_for_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "PROGRAM", tmp_path / "node")
    monkeypatch.setattr(configuration, "WRAPPER", tmp_path / "wrapper")
    shutil.copytree(PROGRAM, tmp_path / "incoming/node", ignore=shutil.ignore_patterns("__pycache__"))
    configuration.stage_bundles(tmp_path / "incoming", ["node"])
    configuration.place_bundles(["node"])

    def list_compiled() -> set[str]:
        command = [sys.executable, "-v", str(tmp_path / "node"), "--help"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
        return set(re.findall(rf"# code object from '?{re.escape(str(tmp_path))}/node/([\w/]+\.py)'?$", said, re.MULTILINE))

    assert list_compiled() <= {"__main__.py"}
    for cached in tmp_path.glob("node/**/*.pyc"):
        assert cached.stat().st_mode & 0o444 == cached.parent.stat().st_mode & 0o444 == 0o444, "units run as others than root"
    report = tmp_path / "node/report.py"
    written = report.stat()
    report.write_text(report.read_text().replace("node", "NODE", 1))
    os.utime(report, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert report.stat().st_size == written.st_size and "report.py" in list_compiled()


def test_the_commands_are_those_of_the_program() -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and {"apply", "status", "wait"} <= set(re.split(r"\W+", done.stdout))


def test_a_full_disk_is_told_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device", "/etc/nginx/nginx.conf")

    monkeypatch.setattr(configuration, "run", refuse)
    assert commands.run_apply(tmp_path, update=True) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["error"].endswith("No space left on device: '/etc/nginx/nginx.conf'") and said["unit"] == ""


def test_a_service_without_units_has_no_log_and_it_is_said_whose_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []
    services = [service("webitel-web", units=[]), service("nginx", units=["nginx"])]
    monkeypatch.setattr(commands, "load_manifest", lambda: {**manifest.empty_manifest(), "services": services})

    def ran(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", ran)
    assert commands.show_logs("webitel-web", 10, "", "", stamped=False) == 1
    assert "webitel-web has no unit" in (said := capsys.readouterr().err) and said.endswith(": nginx\n")
    assert commands.show_logs(None, 10, "", "", stamped=False) == 0
    assert [command[-1] for command in asked] == ["--unit=nginx"]
