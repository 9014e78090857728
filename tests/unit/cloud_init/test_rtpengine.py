"""What runs before rtpengine starts, under a real shell with a Redis that is made up."""

import os
import subprocess
from pathlib import Path

from tests.plans import compose_configuration, load_stack

REDIS = """[ "$7" = KEYS ] && { printf '%s\\n' 'plain@10.0.0.1' 'browser "1"' 'browser\\2'; exit; }
tee -a "$TOLD" | sed 's/^GET "browser.*/{"media-0":{"protocol":"UDP\\/TLS\\/RTP\\/SAVPF"}}/; s/^GET .*/{}/; s/^DEL .*/1/'
"""


def run(folder: Path, **programs: str) -> int:
    """Run it with these programs in place of the system's; its exit status."""
    deployment = load_stack("local-single")
    composed = compose_configuration(deployment.plan, deployment.plan.node("all-1"), deployment.settings)
    (folder / "programs").mkdir()
    for name, text in programs.items():
        path = folder / "programs" / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
    script = composed.files["/usr/lib/webitel/setup/rtpengine.sh"]
    # mktemp fails as it does on a full disk.
    environment = {
        "PATH": f"{folder / 'programs'}:{os.environ['PATH']}",
        "TMPDIR": "/nonexistent",
        "TOLD": str(folder / "told"),
    }
    return subprocess.run(["sh", "-c", script, "rtpengine.sh", "forget"], check=False, env=environment, timeout=20).returncode


def test_calls_of_browsers_are_forgotten_where_no_file_can_be_written(tmp_path: Path) -> None:
    assert run(tmp_path, redis_cli=REDIS, systemctl="echo 0") == 0
    told = (tmp_path / "told").read_text().splitlines()
    assert [line for line in told if line.startswith("DEL")] == ['DEL "browser \\"1\\""', 'DEL "browser\\\\2"']


def test_rtpengine_starts_whatever_becomes_of_old_calls(tmp_path: Path) -> None:
    assert run(tmp_path, redis_cli=REDIS, systemctl="echo systemd is busy >&2; exit 1") == 0
