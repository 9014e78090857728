"""The project as an earlier commit has it, for tests that bring a deployment from there to here.

Earlier is the newest commit that is a day older than this one, since commits of a day reach deployments together;
`WEBITEL_UPGRADE_FROM` names another.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DAY_SECONDS = 86400
NEEDS_HISTORY = (
    "No upgrade was tested. It needs the project's history, and this clone is shallow: run `git fetch --unshallow`, "
    "or in a workflow give actions/checkout `fetch-depth: 0`"
)


def git(*words: str) -> bytes:
    """Return what git says of this checkout."""
    done = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *words], capture_output=True, check=False)
    assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr.decode()}"
    return done.stdout


def find_earlier() -> str:
    """Find the commit to begin with; without the project's history the test that asks is skipped, and a warning says so."""
    if named := os.environ.get("WEBITEL_UPGRADE_FROM"):
        return named
    if git("rev-parse", "--is-shallow-repository").strip() != b"false":
        warnings.warn(NEEDS_HISTORY, stacklevel=2)  # a reason alone is not shown
        pytest.skip(NEEDS_HISTORY)
    now = int(git("log", "-1", "--format=%ct"))
    earlier = git("rev-list", "-1", f"--before={now - DAY_SECONDS}", "HEAD") or git("rev-list", "--max-parents=0", "HEAD")
    return earlier.decode().split()[0]


def extract_earlier(folder: Path) -> Path:
    """Write the files of the earlier commit into a folder, and return it."""
    with tarfile.open(fileobj=io.BytesIO(git("archive", find_earlier()))) as archive:
        archive.extractall(folder, filter="data")
    return folder
