"""What goes wrong: each failure ends within a bounded time and says what and where; `up` resumes when the cause is gone."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.local.conftest import Figure
from tests.local.deployment import ROOT, Deployment

pytestmark = pytest.mark.local

LOCAL = {"cloud": "local", "tier": "single", "network": "10.98.0.0/24"}
AWS = yaml.safe_load((ROOT / "stacks/Pulumi.aws-basic.yaml").read_text())["config"]
AWS = {name.removeprefix("webitel:"): value for name, value in AWS.items()}

BAD: dict[str, tuple[Mapping[str, Any], tuple[str, ...]]] = {
    "unknown setting": (LOCAL | {"nonsense": 1}, ("webitel:nonsense",)),
    "wrong type": (LOCAL | {"upload_limit_mib": "many"}, ("webitel:upload_limit_mib = many",)),
    "network too small": (LOCAL | {"network": "10.98.0.0/30"}, ("webitel:network = 10.98.0.0/30",)),
    "network of this host's own": (LOCAL | {"network": "SINGLE"}, ("webitel:network = SINGLE", "this host already reaches")),
    "operators open to the world": (LOCAL | {"operators": ["0.0.0.0/0"]}, ("webitel:operators = 0.0.0.0/0",)),
    "invalid domain": (LOCAL | {"domain": "not a domain"}, ("webitel:domain = not a domain",)),
    "two of a cluster": (LOCAL | {"tier": "basic", "counts": {"data": 2}}, ("webitel:counts.data = 2", "use 1 or 3")),
    "no credentials of the vendor": (
        LOCAL | {"package_source": "vendor"},
        (
            "webitel:repository_user",
            "webitel:repository_password",
            "webitel:freeswitch_token",
            "webitel:allow_plain_http",
        ),
    ),
    "shared CPU": (AWS | {"machine_types": {"edge": "t3.large"}}, ("webitel:machine_types.edge = t3.large", "c7a.xlarge")),
    "several": (
        LOCAL | {"operators": ["0.0.0.0/0"], "nonsense": 1, "upload_limit_mib": 0},
        ("webitel:operators", "webitel:nonsense", "webitel:upload_limit_mib"),
    ),
}


@pytest.fixture
def bad(single: Deployment) -> Iterator[str]:
    """Name of a stack of the test's own, whose file the test writes; nothing of it may come to be."""
    name = f"{single.name}-bad"
    yield name
    if name in (stack["name"] for stack in list_stacks(single)):
        single.webitel("pulumi", "stack", "rm", name, "--force", "--yes")
    (single.checkout / f"stacks/Pulumi.{name}.yaml").unlink()
    shown = subprocess.run(
        ["incus", "list", "--format", "csv", "-c", "n"], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout.split()
    assert [node for node in shown if node.startswith(name)] == []


def list_stacks(single: Deployment) -> list[dict[str, Any]]:
    """The stacks of the state."""
    found: list[dict[str, Any]] = json.loads(single.webitel("pulumi", "stack", "ls", "--json").output)
    return found


def write_stack(single: Deployment, name: str, settings: Mapping[str, Any]) -> None:
    config = {f"webitel:{key}": value for key, value in settings.items()}
    (single.checkout / f"stacks/Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}))


@pytest.mark.parametrize("case", BAD)
def test_bad_settings_are_named_and_nothing_is_created(single: Deployment, bad: str, case: str) -> None:
    settings, expected = BAD[case]
    network = str(single.network)
    write_stack(single, bad, {key: network if value == "SINGLE" else value for key, value in settings.items()})
    done = single.webitel("up", bad, "--yes", status=1, seconds=60)
    for text in expected:
        assert text.replace("SINGLE", network) in done.said
    assert "Traceback" not in done.said
    assert bad not in [stack["name"] for stack in list_stacks(single)]


def test_unknown_stack(single: Deployment) -> None:
    done = single.webitel("up", "local-singel", status=1)
    assert "no stack local-singel" in done.said
    assert "Did you mean local-single?" in done.said


def test_wrong_passphrase(healthy: Deployment) -> None:
    done = healthy.webitel("up", healthy.name, status=1, environment={"PULUMI_CONFIG_PASSPHRASE": "wrong"})
    assert "passphrase" in done.said
    assert "Traceback" not in done.said
    assert healthy.status()["healthy"]


def test_incus_missing_and_not_installable(single: Deployment, bad: str, tmp_path: Path) -> None:
    write_stack(single, bad, LOCAL)
    programs = tmp_path / "bin"
    programs.mkdir()
    for folder in os.get_exec_path():
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if "incus" not in program.name and program.name != "apt-get" and not (programs / program.name).is_symlink():
                (programs / program.name).symlink_to(program)
    (programs / "apt-get").write_text("#!/bin/sh\necho 'E: Unable to locate package incus' >&2\nexit 100\n")
    (programs / "apt-get").chmod(0o755)
    (programs / "dpkg-query").unlink()
    (programs / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (programs / "dpkg-query").chmod(0o755)
    (tmp_path / "empty").mkdir()
    shutil.copytree("/etc/apt/sources.list.d", tmp_path / "sources")
    own = {"PATH": str(programs), "INCUS_SOCKET": str(tmp_path / "unix.socket"), "XDG_STATE_HOME": str(tmp_path / "state")}
    hide = (
        f"for d in /usr/libexec/incus /opt/incus; do [ ! -d $d ] || mount --bind {tmp_path}/empty $d; done; "
        f"mount --bind {tmp_path}/sources /etc/apt/sources.list.d"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", f"{hide}; exec ./webitel up {bad}"],
        cwd=single.checkout,
        text=True,
        env=single.environment | own,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "installing incus-base" in said or ", incus-base" in said
    assert "reading the package lists (apt-get update) failed:\n  E: Unable to locate package incus" in said
    assert "Traceback" not in said


def test_no_disk_space_for_the_state(single: Deployment, bad: str, tmp_path: Path) -> None:
    write_stack(single, bad, LOCAL)
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(full)], check=True)
    try:
        with (full / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match="No space left"):
            while True:
                filler.write(bytes(4096))
        done = single.webitel("up", bad, status=1, seconds=60, environment={"XDG_DATA_HOME": str(full)})
    finally:
        subprocess.run(["umount", str(full)], check=True)
    assert "no space left on device" in done.said.lower()
    assert "Traceback" not in done.said


def test_a_service_that_exits_at_start(healthy: Deployment, figure: Figure) -> None:
    with healthy.edit("cloud_init/files/rtpengine/rtpengine.conf", "[rtpengine]", "[rtpengine]\nhomer = nonsense"):
        failed = healthy.up(status=1, seconds=420)
        figure("up with a service that exits at start", failed.seconds)
        assert healthy.node in failed.said
        assert "rtpengine-daemon" in failed.said
        assert "homer" in failed.said.lower()  # rtpengine's own words
        report = healthy.status()["nodes"]["all-1"]
        (service,) = [service for service in report["services"] if service["name"] == "rtpengine"]
        assert not service["healthy"]
        assert "rtpengine-daemon is " in service["why"]
        assert any("homer" in line.lower() for line in service["log"])
    resumed = healthy.up()
    assert "services healthy" in resumed.said
    assert healthy.status()["healthy"]


@contextmanager
def closed_port(single: Deployment, port: int) -> Iterator[None]:
    """Drops what this host sends to a TCP port of the node."""
    table = f"webitel_test_{os.getpid()}"
    rules = (
        f"table ip {table} {{\nchain output {{\ntype filter hook output priority 0\n"
        f"ip daddr {single.address} tcp dport {port} drop\n}}\n}}\n"
    )
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", "ip", table], check=True)


def test_ssh_that_never_answers(healthy: Deployment, figure: Figure) -> None:
    healthy.set(upload_limit_mib=68)
    # The wait is five minutes, too long for a test.
    with healthy.edit("provider/node_inputs.py", "ssh: float = 300", "ssh: float = 15"), closed_port(healthy, 22):
        failed = healthy.up(status=1, seconds=120)
        figure("up with SSH closed, of 15 s allowed", failed.seconds)
        assert f"SSH to debian@{healthy.address} did not answer within 15 s: no answer" in failed.said
        asked = healthy.webitel("status", healthy.name, status=1, seconds=30)
        assert "no answer" in asked.output
    assert "1 updated" not in failed.said
    healthy.up()
    assert "client_max_body_size 68m;" in healthy.on_node("nginx -T 2>/dev/null")


def test_interrupted_change_is_resumed(healthy: Deployment) -> None:
    before = healthy.units()
    healthy.set(upload_limit_mib=69)
    running = healthy.start("up", healthy.name)
    running.wait_for("changing node configuration", 60)
    running.process.send_signal(signal.SIGINT)
    done = running.wait(60)
    assert done.status == 1
    assert "Interrupted." in done.said
    assert "it resumes" in done.said
    healthy.up()
    assert "client_max_body_size 69m;" in healthy.on_node("nginx -T 2>/dev/null")
    assert healthy.units() == before
