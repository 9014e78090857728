"""Storage's files while they change their owner: its program of before is root without root's rights, the next one no root."""

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_init.node.storage import owners

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(os.geteuid() != 0, reason="only root changes owners")]

BEFORE = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
USER = "nobody"
"""Somebody who is on every Debian."""
AFTER = ("setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups")
USES = 'cat "$0/call.wav" && echo more >>"$0/call.wav" && mktemp "$0/XXXXXX" && mkdir -p "$0/../12" && touch "$0/../12/$$"'


@pytest.fixture
def hour() -> Iterator[Path]:
    """A folder as Storage makes it: with our unit's umask, below one that both may pass."""
    with tempfile.TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        made = Path(top, "storage/2026/11")
        made.mkdir(parents=True)
        (made / "call.wav").write_text("audio")
        for path in (made, made.parent, made.parent.parent):
            path.chmod(0o750)
        (made / "call.wav").chmod(0o640)
        yield made


def uses(who: tuple[str, ...], hour: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*who, "sh", "-c", f"umask 0027; {USES}", str(hour)], capture_output=True, text=True, check=False)


def test_before_and_after_the_walk_storage_reads_and_writes(hour: Path) -> None:
    top = hour.parent.parent
    assert uses(BEFORE, hour).returncode == 0 and uses(AFTER, hour).returncode != 0
    owners.own(top, USER)
    for who in (BEFORE, AFTER):
        used = uses(who, hour)
        assert used.returncode == 0, used.stderr


def test_what_came_since_the_walk_is_given_at_the_next_start(hour: Path) -> None:
    top = hour.parent.parent
    owners.own(top, USER)
    assert uses(BEFORE, hour).returncode == 0
    owners.walk(top, USER, since=0.0)
    number = pwd.getpwnam(USER).pw_uid
    assert {path.stat().st_uid for path in (top, *top.rglob("*"))} == {number}
