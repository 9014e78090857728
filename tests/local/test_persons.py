"""Personal accounts and certificates with the real sshd, useradd and sudo.

`WEBITEL_TEST_LONG=1` only: three times `up`.
"""

import subprocess
from pathlib import Path

import pytest

from tests.local.deployment import Deployment
from tests.long_form import only_long

pytestmark = [
    pytest.mark.local,
    only_long("three times `up`"),
]


def make_key(path: Path) -> str:
    """A key; returns its public line."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path), "-C", path.name], check=True)
    return path.with_suffix(".pub").read_text().strip()


def log_in(single: Deployment, user: str, key: Path, command: str = "id -un") -> str:
    """What a command says over SSH with that key; "" where nobody is let in."""
    options = [
        "BatchMode=yes",
        "IdentitiesOnly=yes",
        "IdentityAgent=none",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
    ]
    given = [part for option in options for part in ("-o", option)]
    done = subprocess.run(
        ["ssh", "-F", "none", "-q", *given, "-i", str(key), f"{user}@{single.address}", command],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout.strip()


def certify(authority: Path, key: Path, *options: str) -> Path:
    """A copy of the key with a certificate beside it."""
    copy = key.with_name(f"{key.name}-{len(list(key.parent.iterdir()))}")
    copy.write_bytes(key.read_bytes())
    copy.chmod(0o600)
    copy.with_suffix(".pub").write_bytes(key.with_suffix(".pub").read_bytes())
    subprocess.run(["ssh-keygen", "-q", "-s", str(authority), "-I", "test", *options, str(copy.with_suffix(".pub"))], check=True)
    return copy


def test_persons_log_in_as_themselves_until_they_are_taken_out(healthy: Deployment, tmp_path: Path) -> None:
    anna, bo = tmp_path / "anna", tmp_path / "bo"
    before = healthy.units()
    healthy.set(operator_accounts={"anna": [make_key(anna)], "bo": [make_key(bo)]})
    healthy.up()
    assert log_in(healthy, "anna", anna) == "anna"
    assert log_in(healthy, "debian", anna) == log_in(healthy, "bo", anna) == log_in(healthy, "root", anna) == ""
    assert log_in(healthy, "anna", anna, "sudo -n id -u; sudo -n touch /run/by-anna") == "0"
    logged = healthy.on_node("journalctl -q --no-pager _COMM=sudo")
    assert any("anna : " in line and "COMMAND=/usr/bin/touch /run/by-anna" in line for line in logged.splitlines())
    assert healthy.webitel("drift", healthy.name)
    # Bo has left: the session too, and what bo planted. Somebody made an account of another name.
    planted = "mkdir -p ~/.ssh; cat >> ~/.ssh/authorized_keys; (setsid sleep 900 >/dev/null 2>&1 &)"
    log_in(healthy, "bo", bo, planted)
    healthy.on_node("useradd -m -s /bin/bash guest")
    found = healthy.webitel("drift", healthy.name, status=2).said
    assert "guest" in found
    healthy.on_node("userdel -r guest", check=False)
    healthy.set(operator_accounts={"anna": [anna.with_suffix(".pub").read_text().strip()]})
    healthy.up()
    assert log_in(healthy, "bo", bo) == ""
    assert log_in(healthy, "anna", anna) == "anna"
    assert healthy.on_node("pgrep -u bo || echo none") == "none"
    assert healthy.on_node("getent passwd bo | cut -d: -f7; id -nG bo") == "/usr/sbin/nologin\nbo"
    # Nobody's unit noticed.
    assert {name: unit["MainPID"] for name, unit in healthy.units().items()} == {
        name: unit["MainPID"] for name, unit in before.items()
    }
    healthy.set(operator_accounts=None)
    healthy.up()
    assert log_in(healthy, "anna", anna) == ""
    assert healthy.on_node("ls /etc/sudoers.d/webitel-operators || echo gone", check=False).endswith("gone")


def test_certificates_let_in_whom_they_name_and_nobody_else(healthy: Deployment, tmp_path: Path) -> None:
    authority, other, key = tmp_path / "authority", tmp_path / "other", tmp_path / "key"
    make_key(other)
    make_key(key)
    healthy.set(ssh_authorities=[make_key(authority)], ssh_principals=["on-call"], operator_accounts={"anna": []})
    healthy.up()
    named = certify(authority, key, "-n", "anna", "-V", "+1h")
    assert log_in(healthy, "anna", named) == "anna"
    assert log_in(healthy, "debian", named) == log_in(healthy, "postgres", named) == ""
    assert log_in(healthy, "debian", certify(authority, key, "-n", "on-call", "-V", "+1h")) == "debian"
    for wrong in (
        certify(authority, key, "-n", "postgres", "-V", "+1h"),
        certify(authority, key, "-V", "+1h"),  # for everybody
        certify(authority, key, "-n", "anna,debian", "-V", "-2h:-1h"),
        certify(other, key, "-n", "anna,debian", "-V", "+1h"),
        key,
    ):
        assert [log_in(healthy, user, wrong) for user in ("anna", "debian", "postgres", "root")] == [""] * 4
    healthy.set(ssh_authorities=None, ssh_principals=None, operator_accounts=None)
    healthy.up()
    assert log_in(healthy, "debian", certify(authority, key, "-n", "debian", "-V", "+1h")) == "", "an authority taken out"
