"""Two runs that share the cache, as processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.host.fetching import SetupError
from tools.host.locks import explain_refusal, lock

ROOT = Path(__file__).resolve().parents[4]
HOLD = """
import sys, time
from pathlib import Path
from tools.host.locks import lock

with lock(Path(sys.argv[1]), "making a thing", print):
    print("held", flush=True)
    sys.stdin.readline()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_the_second_run_waits_and_says_for_what(tmp_path: Path) -> None:
    path = tmp_path / "new/thing.lock"
    first = hold(path)
    assert first.stdin and first.stdout
    assert first.stdout.readline() == "held\n"
    lines: list[str] = []

    def let_go(line: str) -> None:
        lines.append(line)
        assert first.stdin
        first.stdin.write("\n")
        first.stdin.close()

    with lock(path, "making a thing", let_go):
        assert first.wait(10) == 0
    assert lines == ["waiting for another run that is making a thing"]
    first.stdout.close()


def test_a_killed_run_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "thing.lock"
    with hold(path) as first:
        assert first.stdout
        assert first.stdout.readline() == "held\n"
        first.kill()
    with lock(path, "making a thing", pytest.fail):
        pass


def test_a_cache_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"/file cannot be written: "), lock(tmp_path / "file/x.lock", "x", print):
        pass


def test_an_error_that_names_no_file_is_told_in_its_own_words() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left") as caught:
            os.write(full, b"x")
    finally:
        os.close(full)
    assert explain_refusal(caught.value) == "[Errno 28] No space left on device"
