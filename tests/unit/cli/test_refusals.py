"""What this machine, a shell or a stack file may do to the command line: one line, exit status 1, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from cli import __main__ as program
from cli import console
from cli.console import explain_file

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("stream", [console.out, console.err])
@pytest.mark.parametrize("text", ["webitel:cloud: hetzner", "[red]a:smile:b[/red]", ":100: and :+1:", "x:heart:", ":de:"])
def test_texts_are_shown_as_they_are_written(stream: Console, text: str) -> None:
    with stream.capture() as shown:
        stream.print(text)
    assert shown.get().strip() == text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(13, "Permission denied", "/somewhere/else"), "/somewhere/else: Permission denied."),
        (PermissionError(13, "Permission denied", str(Path.home() / "x")), "sudo chown -R $(id -un) "),
        (OSError(28, "No space left on device"), "this machine refuses: No space left on device"),
        (OSError(30, "Read-only file system", "/a", None, "/b"), "/b: Read-only file system."),
        (FileNotFoundError(2, "No usable temporary directory found in ['/x']"), "No usable temporary directory"),
        (NotADirectoryError(20, "Not a directory", "/etc/passwd/x"), "/etc/passwd/x: Not a directory."),
        (IsADirectoryError(21, "Is a directory", b"/etc"), "Is a directory."),
        (OSError(36, "File name too long", "x" * 300), "File name too long."),
        (OSError(24, "Too many open files", "/tmp"), "/tmp: Too many open files."),
        (OSError("something else"), "this machine refuses: something else"),
        (BlockingIOError(11, "Resource temporarily unavailable"), "this machine refuses: Resource"),
    ],
)
def test_a_refusal_of_this_machine_names_the_file(
    error: OSError, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise error

    assert told in explain_file(error)
    monkeypatch.setattr(program, "app", refuse)
    with pytest.raises(SystemExit, match="1"):
        program.main()
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_a_full_disk_behind_standard_output_is_told_in_a_line() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "cli", "plan"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1 and done.stderr == "this machine refuses: No space left on device\n"
