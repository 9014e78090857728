"""Run the host's own programs, and read small files, without a failure that ends everything."""

from __future__ import annotations

import os
import pathlib
import subprocess

SECONDS = 60
"""apt builds its index of all packages anew where it may not keep it."""
ENDED, NOT_INSTALLED = 124, 127
"""Exit statuses, as timeout(1) and a shell use them, of a program that hung and of one that does not exist."""


def run(*command: str, seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a program; never raise for how it ends."""
    path = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            env=os.environ | path,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, ENDED, "", f"{command[0]} did not end within {seconds:.0f} s")
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, NOT_INSTALLED, "", f"{command[0]} is not installed")


def read(path: str | pathlib.Path) -> str:
    """Return a file's text without blanks around it, "" where it is not there or says nothing."""
    try:
        return pathlib.Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""


def whole(text: str, otherwise: int = 0) -> int:
    """Return the number that a text is."""
    return int(text) if text.lstrip("-").isdecimal() else otherwise
