"""The machine: its release, processor and memory."""

from __future__ import annotations

import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

from cloud_init.host.facts import Cpu, Memory, System
from cloud_init.host.running import read, run, whole

CPU = pathlib.Path("/sys/devices/system/cpu")
LOAD_SECONDS = 2.0
LOAD = "import sys, time\nend = time.monotonic() + float(sys.argv[1])\nwhile time.monotonic() < end: pass"
TELLING = ("ssse3", "sse4_1", "sse4_2", "popcnt", "avx2")
"""Flags of a processor that are looked at."""
STEAL = 8
"""The column of /proc/stat with what others took."""


def look_at_system() -> System:
    """Look at what the host runs."""
    names = dict(line.split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line)
    kernel = platform.release()
    version = re.search(r"\d+", run("systemctl", "--version").stdout)
    detected = run("systemd-detect-virt").stdout.strip() or "unknown"
    said = find_owner()
    return System(
        release=f"{names.get('ID', '')} {names.get('VERSION_ID', '')}".replace('"', ""),
        architecture=run("dpkg", "--print-architecture").stdout.strip(),
        kernel=kernel,
        headers=pathlib.Path("/lib/modules", kernel, "build").exists(),
        init=read("/proc/1/comm"),
        systemd=int(version[0]) if version else 0,
        unified_cgroups=pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists(),
        virtualisation=detected,
        container=run("systemd-detect-virt", "--container", "--quiet").returncode == 0,
        root=os.geteuid() == 0,
        sudo=shutil.which("sudo") is not None,
        python=platform.python_version(),
        machine_id=read("/etc/machine-id"),
        host_keys=tuple(sorted(" ".join(read(path).split()[:2]) for path in pathlib.Path("/etc/ssh").glob("ssh_host_*_key.pub"))),
        cloud_init=find_cloud_init(),
        ours=said.get("key", ""),
        ours_stack=said.get("stack", ""),
    )


def find_owner() -> dict[str, str]:
    """Return key and stack of the node that this host is, or was begun to become; empty = nobody's."""
    for path in ("/etc/webitel/node.json", "/var/lib/webitel/host.json"):
        if text := read(path):
            said = json.loads(text)
            # The mark of a host that was only begun has the whole name of its node.
            return {"stack": said["stack"], "key": said.get("key") or said["node"].removeprefix(f"{said['stack']}-")}
    return {}


def find_cloud_init() -> str:
    """Return how far cloud-init is, "" where there is none."""
    shown = run("cloud-init", "status").stdout.strip()
    return shown.rpartition(": ")[2].strip()


def look_at_cpu(measure: bool) -> Cpu:
    """Look at the processor, and with `measure` at what others take of it."""
    told = read("/proc/cpuinfo")
    flags = re.search(r"^flags\s*:(.*)$", told, re.MULTILINE)
    speeds = [float(found) for found in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", told, re.MULTILINE)]
    most = whole(read(CPU / "cpu0/cpufreq/cpuinfo_max_freq")) / 1000
    usable = os.sched_getaffinity(0)
    cores = {read(CPU / f"cpu{one}/topology/thread_siblings_list") for one in usable}
    return Cpu(
        vcpus=len(usable),
        cores=len(cores),
        numa_nodes=len(list(pathlib.Path("/sys/devices/system/node").glob("node[0-9]*"))) or 1,
        mhz=most or max(speeds, default=None),
        flags=tuple(flag for flag in TELLING if flags and flag in flags[1].split()),
        governor=read(CPU / "cpu0/cpufreq/scaling_governor"),
        steal_percent=measure_steal(len(usable)) if measure else None,
    )


def measure_steal(vcpus: int) -> float:
    """Keep every vCPU busy for a moment and return what the hypervisor gave to others, in percent."""
    before = read_times()
    command = [sys.executable, "-c", LOAD, str(LOAD_SECONDS)]
    busy = [subprocess.Popen(command, stdin=subprocess.DEVNULL) for _ in range(vcpus)]
    deadline = time.monotonic() + 5 * LOAD_SECONDS
    for one in busy:
        try:
            one.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()
    spent = [after - begun for after, begun in zip(read_times(), before, strict=True)]
    return 100 * spent[STEAL - 1] / max(1, sum(spent))


def read_times() -> list[int]:
    """Return the processor's times up to what others took, in ticks; guests' are in the first ones."""
    return [int(field) for field in read("/proc/stat").split()[1 : STEAL + 1]]


def look_at_memory() -> Memory:
    """Look at memory and how it is used."""
    sizes = {line.split(":")[0]: whole(line.split()[1]) * 1024 for line in read("/proc/meminfo").splitlines()}
    chosen = re.search(r"\[(\w+)\]", read("/sys/kernel/mm/transparent_hugepage/enabled"))
    return Memory(
        total=sizes["MemTotal"],
        swap=sizes["SwapTotal"],
        swap_used=sizes["SwapTotal"] - sizes["SwapFree"],
        swappiness=whole(read("/proc/sys/vm/swappiness")),
        huge_pages=chosen[1] if chosen else "",
    )
