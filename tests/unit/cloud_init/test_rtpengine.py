"""What runs before rtpengine starts, under a real shell with a Redis that is made up."""

import os
import subprocess
from pathlib import Path

from stacks.load import load_deployment
from tests.plans import compose_configuration

REDIS = """#!/bin/sh
[ "$7" = KEYS ] && { printf '%s\\n' 'plain@10.0.0.1' 'browser "1"' 'browser\\2'; exit; }
tee -a "$TOLD" | sed 's/^GET "browser.*/{"media-0":{"protocol":"UDP\\/TLS\\/RTP\\/SAVPF"}}/; s/^GET .*/{}/; s/^DEL .*/1/'
"""


def test_calls_of_browsers_are_forgotten_where_no_file_can_be_written(tmp_path: Path) -> None:
    deployment = load_deployment("local-single")
    composed = compose_configuration(deployment.plan, deployment.plan.node("all-1"), deployment.settings)
    programs, told = tmp_path / "programs", tmp_path / "told"
    programs.mkdir()
    for name, text in {"redis-cli": REDIS, "systemctl": "#!/bin/sh\necho 0\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    script = composed.files["/usr/lib/webitel/setup/rtpengine.sh"]
    # mktemp fails as it does on a full disk.
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": "/nonexistent", "TOLD": str(told)}
    subprocess.run(["sh", "-c", script, "rtpengine.sh", "forget"], check=True, env=environment, timeout=20)
    assert [line for line in told.read_text().splitlines() if line.startswith("DEL")] == [
        'DEL "browser \\"1\\""',
        'DEL "browser\\\\2"',
    ]


def test_rtpengine_starts_whatever_becomes_of_old_calls() -> None:
    deployment = load_deployment("local-single")
    composed = compose_configuration(deployment.plan, deployment.plan.node("all-1"), deployment.settings)
    dropped = next(text for path, text in composed.files.items() if "rtpengine-daemon.service.d" in path)
    assert "ExecStartPre=-+/usr/lib/webitel/setup/rtpengine.sh forget" in dropped
