"""Records reach Debian's real rsyslog over TLS, as it takes them from anybody."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from cloud_init.node.records import send

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.sandbox

SERVER = """
global(workDirectory="{folder}" defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{folder}/ca.pem"
  defaultNetstreamDriverCertFile="{folder}/ca.pem" defaultNetstreamDriverKeyFile="{folder}/key.pem")
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="seen" type="string" string="%pri% %timestamp:::date-rfc3339% %hostname% %app-name% %procid% %msg%\\n")
input(type="imtcp" port="{port}" address="127.0.0.1")
action(type="omfile" file="{folder}/seen.log" template="seen")
"""


def test_rsyslog_takes_records_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "SENT", tmp_path / "sent.json")
    monkeypatch.setattr(send, "STATE", tmp_path / "target.json")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "ca.pem")]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "rsyslog.conf").write_text(SERVER.format(folder=tmp_path, port=port))
    first = "<38>1 2026-11-29T09:19:59.123456Z edge-1 sshd 42 - - Accepted publickey for debian from 203.0.113.7 port 50000 ssh2"
    (tmp_path / "audit-2026-11-29.log").write_text(f"{first}\n<85>1 2026-11-29T09:20:00.000000Z edge-1 sudo 43 - - ann : ü\n")
    sender = send.Sender(f"localhost:{port}", str(tmp_path / "ca.pem"), tmp_path)
    server = subprocess.Popen(["rsyslogd", "-n", "-f", tmp_path / "rsyslog.conf", "-i", tmp_path / "pid"])
    written = threading.Event()
    thread = threading.Thread(target=send.run, args=(sender, written), daemon=True)
    monkeypatch.setattr(send, "FIRST_PAUSE_SECONDS", 0.1)
    seen = tmp_path / "seen.log"
    try:
        thread.start()
        for _ in range(200):
            if seen.exists() and len(seen.read_text().splitlines()) == 2:
                break
            time.sleep(0.1)
        assert seen.read_text().splitlines() == [
            "38 2026-11-29T09:19:59.123456Z edge-1 sshd 42 Accepted publickey for debian from 203.0.113.7 port 50000 ssh2",
            "85 2026-11-29T09:20:00.000000Z edge-1 sudo 43 ann : ü",
        ]
    finally:
        sender.ended.set()
        written.set()
        thread.join(20)
        server.terminate()
        server.wait(20)


JOURNAL = """
set -e
mount -t tmpfs none /run && mkdir -p /run/systemd/journal /run/log
mount -t tmpfs none /var/log && mkdir -p /var/log/journal
/lib/systemd/systemd-journald & journald=$!
while ! [ -S /run/systemd/journal/dev-log ]; do sleep 0.1; done
write() { "$@" logger --socket /run/systemd/journal/dev-log -t webitel-node -p authpriv.notice "$said"; }
said="by root" write env
said="by nobody" write setpriv --reuid 65534 --regid 65534 --clear-groups
sleep 1
timeout 20 python3 - <<'END' || true
import os, pathlib, threading
from cloud_init.node.records import keep
keep.FOLDER, keep.CURSOR = pathlib.Path("{folder}"), pathlib.Path("{folder}/cursor")
threading.Timer(5, os._exit, [0]).start()
keep.run(10, threading.Event())
END
kill $journald
"""


def test_only_root_writes_under_our_name_into_the_records(tmp_path: Path) -> None:
    """Under Debian's journald, in a mount name space of its own."""
    script = JOURNAL.replace("{folder}", str(tmp_path))
    subprocess.run(["unshare", "--mount", "--propagation", "private", "bash", "-c", script], check=True, cwd=ROOT, timeout=60)
    records = (tmp_path / "audit.log").read_text()
    assert "- - by root\n" in records and "by nobody" not in records
    assert (tmp_path / "cursor").read_text().startswith("s=")
