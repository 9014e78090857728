"""Writes `requirements/*.lock`: exact versions and hashes of everything that `pip` installs for this project, for every Python
and processor at once.

    pip install uv; PYTHONPATH=. .venv/bin/python -m tests.lint.locks [uv]

writes them anew within the bounds of pyproject.toml, with the newest versions of what it does not pin. `base.lock` is the
project itself; each other file is one of its extras, and begins with a reference to `base.lock`.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "requirements"
BASE = "base"
ENTRY = re.compile(
    r"^(?P<name>[a-z0-9-]+)==(?P<version>[^ ;\\]+)(?: ; (?P<marker>[^\\]+?))?(?: \\)?\n(?P<hashes>(?:    --hash=.*\n)*)",
    re.MULTILINE,
)


def read_extras() -> dict[str, list[str]]:
    """Name of a lock file -> the requirements that pyproject.toml has for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {BASE: project["dependencies"], **project["optional-dependencies"]}


def read_entries(text: str) -> dict[str, re.Match[str]]:
    """Name -> what a lock file says of it."""
    return {found["name"]: found for found in ENTRY.finditer(text)}


def compile_all(uv: str, *options: str) -> str:
    """What uv pins, the oldest Python first: markers say what only others need."""
    command = [
        uv,
        "pip",
        "compile",
        "pyproject.toml",
        "--universal",
        "--python-version",
        "3.11",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
        "--quiet",
        *options,
    ]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def main(uv: str) -> None:
    """One choice of versions for all extras together, told apart afterwards."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        every = Path(folder) / "all.txt"
        every.write_text(re.sub(r" \\\n(    --hash=.*\n)*", "\n", compile_all(uv, "--all-extras")))
        base = compile_all(uv, "--constraint", str(every))
        (FOLDER / f"{BASE}.lock").write_text(base)
        for extra in read_extras():
            if extra != BASE:
                entries = read_entries(compile_all(uv, "--constraint", str(every), "--extra", extra))
                more = "".join(found[0] for name, found in entries.items() if name not in read_entries(base))
                (FOLDER / f"{extra}.lock").write_text(f"-r {BASE}.lock\n{more}")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["uv"]))
