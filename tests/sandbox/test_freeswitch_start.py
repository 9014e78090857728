"""FreeSWITCH's stand-in finds its run directory as the real one does: made and given to its user by the packages, or not at all
(`facts/services-real.md` 2)."""

import subprocess
from pathlib import Path

import pytest

from tests.sandbox.platform import PYTHON, ROOT

pytestmark = pytest.mark.sandbox
USER = "nobody"


def start(run: Path, *flags: str) -> "subprocess.CompletedProcess[str]":
    """The program with a run directory; it gives up long before it needs its configuration."""
    return subprocess.run(
        [
            *(PYTHON, "-c", "import sys; from standin.freeswitch.program import main; sys.exit(main())"),
            *("-u", USER, "-g", "nogroup", *flags, "-conf", str(run.parent / "conf"), "-run", str(run)),
        ],
        cwd=ROOT / "sandbox",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(("flag", "status"), [("-nf", 255), ("-ncwait", 1)])
def test_a_run_directory_of_somebody_else_ends_it(tmp_path: Path, flag: str, status: int) -> None:
    run = tmp_path / "run"
    run.mkdir(mode=0o555)
    before = run.stat()
    done = start(run, flag)
    assert done.returncode == status, done.stderr
    assert f"Cannot open pid file {run}/freeswitch.pid" in done.stderr
    assert (run.stat().st_uid, run.stat().st_mode) == (before.st_uid, before.st_mode)


def test_it_makes_no_run_directory(tmp_path: Path) -> None:
    done = start(tmp_path / "run", "-nf")
    assert done.returncode == 255 and "Cannot open pid file" in done.stderr
    assert not (tmp_path / "run").exists()
