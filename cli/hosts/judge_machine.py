"""Whether the machine itself is as the plan wishes: release, kernel, processor, memory."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cli.hosts.finding import Verdict
from cli.hosts.wish import Wish
from cloud_init.host.facts import Cpu, Facts, Memory, System
from components.model.host_limits import ARCHITECTURE, KERNEL, MEMORY_SHARE, MHZ, PYTHON, RELEASE, STEAL, SYSTEMD, State

HYPERVISORS = ("none", "kvm", "qemu", "vmware", "xen", "amazon")
MODERN = ("ssse3", "sse4_1", "sse4_2", "popcnt")
"""What x86-64-v2 has, as far as flags tell."""
SLOW_GOVERNORS = ("powersave", "ondemand", "conservative")


def judge(wish: Wish, facts: Facts) -> Iterator[Verdict]:
    """Judge the machine."""
    if facts.system:
        yield from judge_system(wish, facts.system)
    if facts.cpu:
        yield from judge_cpu(wish, facts.cpu)
    if facts.memory:
        yield from judge_memory(wish, facts.memory)


def judge_release(release: str, architecture: str) -> Verdict:
    """Judge what is installed; nothing else matters where it is another."""
    right = (release, architecture) == (RELEASE, ARCHITECTURE)
    return Verdict("release", "pass" if right else "fail", f"{release} {architecture}".strip() or "unknown")


def judge_system(wish: Wish, system: System) -> Iterator[Verdict]:
    """Judge release, kernel, init and hypervisor, and whose node it is."""
    yield judge_release(system.release, system.architecture)
    python = tuple(map(int, system.python.split(".")[:2])) == PYTHON
    yield Verdict("python3", "pass" if python else "fail", system.python)
    yield Verdict("way in", "pass" if system.root else "fail", "root" if system.root else "no root")
    numbers = tuple(map(int, re.findall(r"\d+", system.kernel)[:2]))
    lacks = not system.headers and wish.relays_audio
    kernel: State = "fail" if numbers < KERNEL else "warn" if lacks else "pass"
    yield Verdict("kernel", kernel, system.kernel + ("" if system.headers else ", no headers"))
    init = system.init == "systemd" and system.systemd >= SYSTEMD and system.unified_cgroups
    cgroups = "unified cgroups" if system.unified_cgroups else "cgroups of version 1"
    yield Verdict("init", "pass" if init else "fail", f"{system.init} {system.systemd}, {cgroups}")
    contained: State = "fail" if wish.carries_calls else "warn"
    known: State = "pass" if system.virtualisation in HYPERVISORS else "warn"
    yield Verdict("virtualisation", contained if system.container else known, system.virtualisation)
    if system.cloud_init:
        state: State = "fail" if "running" in system.cloud_init else "warn" if "error" in system.cloud_init else "pass"
        yield Verdict("cloud-init", state, system.cloud_init)
    yield judge_owner(wish, system)


def judge_owner(wish: Wish, system: System) -> Verdict:
    """Judge whether it is somebody's node already."""
    if not system.ours_stack:
        return Verdict("owner", "pass", "nobody's yet")
    right = (system.ours_stack, system.ours) == (wish.stack, wish.key)
    return Verdict("owner", "pass" if right else "fail", f"{system.ours} of {system.ours_stack}")


def judge_cpu(wish: Wish, cpu: Cpu) -> Iterator[Verdict]:
    """Judge the processor."""
    enough = cpu.vcpus >= wish.size.vcpus
    yield Verdict("vCPU", "pass" if enough else "fail", f"{cpu.vcpus}", f"{wish.size.vcpus} ({wish.size.source})")
    shared = cpu.vcpus > 2 * cpu.cores
    yield Verdict("whole cores", "warn" if shared else "pass", f"{cpu.vcpus} vCPU on {cpu.cores} cores")
    lacking = [flag for flag in (*MODERN, "avx2") if flag not in cpu.flags]
    slow = cpu.mhz is not None and cpu.mhz < MHZ
    speed = f"{cpu.mhz / 1000:.1f} GHz" if cpu.mhz else "clock unknown"
    old = not set(MODERN).isdisjoint(lacking)
    state: State = "fail" if old else "warn" if lacking or slow else "pass"
    yield Verdict("processor", state, f"{speed}, no {', '.join(lacking)}" if lacking else f"{speed}, AVX2")
    yield Verdict("governor", "warn" if cpu.governor in SLOW_GOVERNORS else "pass", cpu.governor or "none")
    yield Verdict("memory nodes", "warn" if cpu.numa_nodes > 1 else "pass", f"{cpu.numa_nodes}")
    if cpu.steal_percent is not None:
        stolen = STEAL.judge(cpu.steal_percent)
        eased: State = "fail" if stolen == "fail" and wish.carries_calls else "pass" if stolen == "pass" else "warn"
        yield Verdict("steal", eased, f"{cpu.steal_percent:.1f} %")


def judge_memory(wish: Wish, memory: Memory) -> Iterator[Verdict]:
    """Judge memory."""
    has, wanted = memory.total / 2**30, wish.size.memory_gib
    share = MEMORY_SHARE.judge(100 * has / wanted)
    yield Verdict("memory", share, f"{has:.1f} GiB", f"{wanted:g} GiB ({wish.size.source})")
    used = f"{memory.swap_used / 2**20:.0f} MiB of {memory.swap / 2**20:.0f} in use" if memory.swap else "none"
    yield Verdict("swap", "warn" if memory.swap_used else "pass", used)
    greedy = memory.huge_pages == "always" and wish.has_database
    yield Verdict("huge pages", "warn" if greedy else "pass", memory.huge_pages or "none")
