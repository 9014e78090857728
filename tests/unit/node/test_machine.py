"""The rows that are no service: certificate, clock, and when a disk is full."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cloud_init.node.ask import certificate as ask_certificate
from cloud_init.node.health import figures, machine
from cloud_init.node.manifest import DiskEntry

TRACKING = "Reference ID    : A9FEA97B (169.254.169.123)\nSystem time     : {} seconds {} of NTP time\nLeap status     : {}\n"


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Whatever program is run says this."""
    monkeypatch.setattr(machine, "run", lambda *_: subprocess.CompletedProcess([], 0, text, ""))


@pytest.mark.parametrize(
    ("shown", "healthy", "why"),
    [
        (TRACKING.format("0.000012", "slow", "Normal"), True, "0.0 ms slow"),
        (TRACKING.format("2.500000", "fast", "Normal"), False, "2500.0 ms fast"),
        (TRACKING.format("0.000000", "slow", "Not synchronised"), True, "no time server has answered yet"),
        ("506 Cannot talk to daemon", True, "no time server has answered yet"),
    ],
)
def test_clock(monkeypatch: pytest.MonkeyPatch, shown: str, healthy: bool, why: str) -> None:
    answer(monkeypatch, shown)
    row = machine.clock()
    assert (row["healthy"], row["why"]) == (healthy, why)


INTERFACE = '[{},{"ifname":"enp7s0","mtu":SIZE,"operstate":"UP","addr_info":[{"family":"inet","local":"10.20.0.10"}]}]'
"""As iproute2 6.1 prints it: a place for each interface that does not fit."""


@pytest.mark.parametrize("shown", [INTERFACE.replace("SIZE", "1450"), "", "[{}]"])
def test_packets_that_fit_are_no_row(monkeypatch: pytest.MonkeyPatch, shown: str) -> None:
    answer(monkeypatch, shown)
    assert machine.packets("10.20.0.10", 1450) == []


def test_packets_that_vanish_between_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, INTERFACE.replace("SIZE", "1500"))
    (row,) = machine.packets("10.20.0.10", 1450)
    assert row["healthy"] and row["warning"] and "`ip link set dev enp7s0 mtu 1450`" in row["why"]


@pytest.mark.parametrize(
    ("counters", "why"),
    [
        ({"pps_allowance_exceeded": 0, "conntrack_allowance_exceeded": 0, "rx_drops": 7, "conntrack_allowance_available": 9}, ""),
        ({}, ""),
        (
            {"pps_allowance_exceeded": 12, "conntrack_allowance_exceeded": 3},
            "pps_allowance_exceeded 12, conntrack_allowance_exceeded 3",
        ),
    ],
)
def test_what_the_cloud_dropped(monkeypatch: pytest.MonkeyPatch, counters: dict[str, int], why: str) -> None:
    answer(monkeypatch, INTERFACE.replace("SIZE", "9001"))
    monkeypatch.setattr(machine, "read_counters", lambda name: counters if name == "enp7s0" else {})
    rows = machine.allowances("10.20.0.10")
    assert [row["healthy"] and row["warning"] for row in rows] == [True] * bool(why)
    assert all(why in row["why"] and "enp7s0" in row["why"] for row in rows)


def test_a_driver_that_tells_nothing_costs_no_other_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it resets an interface, which it does by itself, its questions fail in its own words."""

    def refuse(name: str) -> dict[str, int]:
        raise OSError(524, "Unknown error 524")

    answer(monkeypatch, INTERFACE.replace("SIZE", "1500"))
    monkeypatch.setattr(machine, "read_counters", refuse)
    (row,) = machine.allowances("10.20.0.10")
    assert row["healthy"] and "enp7s0: [Errno 524]" in row["why"]


@pytest.mark.parametrize(("days", "healthy", "why"), [(30.5, True, "30 days left"), (-3.5, False, "it ended 4 days ago")])
def test_certificate(monkeypatch: pytest.MonkeyPatch, days: float, healthy: bool, why: str) -> None:
    end = time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(time.time() + days * 86400))
    answer(monkeypatch, f"notAfter={end}\n")
    row = machine.certificate("PEM")
    assert (row["healthy"], row["why"]) == (healthy, why)


@pytest.mark.parametrize(
    ("days", "healthy", "warning", "why"),
    [
        (3650, True, False, "3650 days left"),
        (20, True, True, "20 days left: the next ./webitel up renews it"),
        (-2, False, True, "it ended 2 days ago: the next ./webitel up renews it"),
    ],
)
def test_certificates_among_nodes_say_how_long_they_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, days: float, healthy: bool, warning: bool, why: str
) -> None:
    (tmp_path / "broker.pem").write_text("PEM")
    places = {"database": tmp_path / "database.pem", "broker certificate": tmp_path / "broker.pem"}
    monkeypatch.setattr(
        machine, "AMONG_NODES", {name: (path, "the next ./webitel up renews it") for name, path in places.items()}
    )
    end = time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(time.time() + days * 86400))
    answer(monkeypatch, f"notAfter={end}\n")
    (row,) = machine.among_nodes()
    assert (row["name"], row["healthy"], row.get("warning", False), row["why"]) == ("broker certificate", healthy, warning, why)
    assert [sample[0] for sample in figures.list_of_machine(row)] == ["webitel_machine_healthy", "webitel_machine_warning"]
    answer(monkeypatch, "unable to load certificate")
    (row,) = machine.among_nodes()
    assert row.get("warning") and "cannot be read" in row["why"]


def test_a_disk_is_full_by_its_measured_growth(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "GROWTH", tmp_path / "growth.json")
    assert machine.days_until_full("/d", 1000) is None
    machine.GROWTH.write_text(json.dumps({"/d": [[0, 100], [86400, 200]], "/young": [[0, 100], [3600, 200]]}))
    assert machine.days_until_full("/d", 1000) == 10
    assert machine.days_until_full("/young", 1000) is None


def test_disks_are_sampled_once_an_hour(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "GROWTH", tmp_path / "growth.json")
    disk: DiskEntry = {"purpose": "database", "mount": str(tmp_path), "size_gib": 1}
    for _ in range(3):
        machine.sample_disks([disk])
    (samples,) = machine.read_growth().values()
    assert len(samples) == 1
    machine.GROWTH.write_text(json.dumps({str(tmp_path): [[time.time() - 3601, 1]]}))
    machine.sample_disks([disk])
    assert len(machine.read_growth()[str(tmp_path)]) == 2


def test_a_disk_that_is_a_share_of_a_larger_one_is_full_at_its_own_size(tmp_path: Path) -> None:
    usage = shutil.disk_usage(tmp_path)
    whole: DiskEntry = {"purpose": "database", "mount": str(tmp_path), "size_gib": usage.total >> 30}
    assert machine.measure_disk(whole)[0] == usage.total
    share: DiskEntry = {"purpose": "database", "mount": str(tmp_path), "size_gib": 1}
    assert usage.total > 2 << 30, "this machine's own disk"
    (tmp_path / "data").write_bytes(bytes(100 << 20))
    size, free = machine.measure_disk(share)
    assert size == 1 << 30
    assert (900 << 20) < free < (925 << 20)


@pytest.mark.parametrize(("days", "left", "due"), [(90, 31, False), (90, 29, True), (6, 2.1, False), (6, 1.9, True)])
def test_a_certificate_is_due_in_the_last_third_of_its_time(
    monkeypatch: pytest.MonkeyPatch, days: float, left: float, due: bool
) -> None:
    begin, end = (
        time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(time.time() + offset * 86400)) for offset in (left - days, left)
    )
    monkeypatch.setattr(
        ask_certificate, "run", lambda *_: subprocess.CompletedProcess([], 0, f"notBefore={begin}\nnotAfter={end}\n", "")
    )
    assert ask_certificate.is_due("PEM") == due


def test_samples_of_a_clock_that_was_ahead_are_dropped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine may begin in another year, until it has asked a time server."""
    monkeypatch.setattr(machine, "GROWTH", tmp_path / "growth.json")
    monkeypatch.setattr(machine, "measure_disk", lambda disk: (1000, 900))
    now = time.time()
    machine.GROWTH.write_text(json.dumps({"/d": [[now - 7200, 90], [now + 10**8, 95]]}))
    machine.sample_disks([{"purpose": "database", "mount": "/d", "size_gib": 1}])
    assert [round(at - now) for at, _ in machine.read_growth()["/d"]] == [-7200, 0]


def test_a_disk_whose_files_take_too_long_to_count_is_measured_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Years of recordings on a given host's large disk."""
    disk: DiskEntry = {"purpose": "recordings", "mount": str(tmp_path), "size_gib": 1}
    usage = shutil.disk_usage(tmp_path)._replace(total=100 << 30, free=50 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(machine, "run", lambda *_: subprocess.CompletedProcess([], 124, "", "du did not end within 5 s"))
    assert machine.measure_disk(disk) == (100 << 30, 50 << 30)
    monkeypatch.setattr(machine, "run", lambda *_: subprocess.CompletedProcess([], 0, f"{1 << 29}\t{tmp_path}\n", ""))
    assert machine.measure_disk(disk) == (1 << 30, 1 << 29)
