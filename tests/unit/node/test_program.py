"""The start of the node program, also in the moment in which an application puts another version in its place."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cloud_init.node import commands, manifest
from cloud_init.node.apply import configuration

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
