"""The program for a given host as one file that its Python runs, with what it is asked inside: no part of that is on a command
line, where a mirror's log-in would be read by others."""

from __future__ import annotations

import dataclasses
import io
import json
import shlex
import zipfile
from pathlib import Path

from cloud_init.host.facts import Request

HERE = Path(__file__).parent
START = "import sys\nfrom cloud_init.host.program import main\nsys.exit(main(sys.argv[1:]))\n"


def make_host_program(request: Request) -> bytes:
    """Return the file."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__main__.py", START)
        archive.writestr("cloud_init/__init__.py", "")
        for path in sorted((HERE / "host").glob("*.py")):
            archive.write(path, f"cloud_init/host/{path.name}")
        archive.writestr("cloud_init/host/request.json", json.dumps(dataclasses.asdict(request)))
    return made.getvalue()


def receive_command(folder: str = "/run") -> str:
    """Return the shell command that keeps the program, which is its input, where root alone reads it, and prints that place."""
    return f"sh -c {shlex.quote(f'umask 077; f=$(mktemp {folder}/webitel-host-XXXXXX) && cat > $f && echo $f')}"


def host_command(place: str, *arguments: str) -> str:
    """Return the shell command that runs it."""
    return f"python3 -B {shlex.quote(place)} {shlex.join(arguments)}"


def forget_command(place: str) -> str:
    """Return the shell command that takes it away."""
    return f"rm -f {shlex.quote(place)}"
