"""The program's commands. Each prints one JSON document; `request.json` beside it says what to look at."""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import pkgutil
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from cloud_init.host.facts import Facts, Request
from cloud_init.host.lines import receive, send
from cloud_init.host.machine import look_at_cpu, look_at_memory, look_at_system
from cloud_init.host.mend import mend
from cloud_init.host.network import look_at_network
from cloud_init.host.software import list_targets, look_at_clock, look_at_names, look_at_software, reach_sources
from cloud_init.host.storage import look_at_storage

Part = TypeVar("Part")
TICKS = 5
"""How often the clock is read: the quickest answer is the best one."""


def load_request() -> Request:
    """Read what is asked, which came with the program."""
    told = pkgutil.get_data("cloud_init.host", "request.json")
    assert told, "sent with the program"
    given = json.loads(told)
    for name in ("peers", "urls", "packages", "turns"):
        given[name] = tuple(given[name])
    return Request(**given)


def look(request: Request) -> Facts:
    """Look at everything; a part that fails leaves the others whole."""
    problems: dict[str, str] = {}

    def part(name: str, look_at: Callable[[], Part]) -> Part | None:
        try:
            return look_at()
        except (OSError, ValueError, KeyError, IndexError) as error:
            problems[name] = f"{type(error).__name__}: {error}"
            return None

    system = part("system", look_at_system)
    # A node at work is not loaded.
    measure = request.measure and not (system and system.ours_stack)
    targets = part("sources", list_targets) or ()
    # What only waits for others goes on meanwhile; what measures comes after it, alone.
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as pool:
        reaching = pool.submit(part, "reached", lambda: reach_sources(request.urls, targets) if measure else ())
        memory = part("memory", look_at_memory)
        software = part("software", lambda: look_at_software(request.packages, targets))
        clock = part("clock", look_at_clock)
        names = part("names", look_at_names)
        reached = reaching.result()
    network = part("network", lambda: look_at_network(request))
    storage = part("storage", lambda: look_at_storage(request.devices, measure))
    cpu = part("cpu", lambda: look_at_cpu(measure))
    return Facts(system, cpu, memory, storage, network, software, clock, names, reached, problems)


def tell_time() -> None:
    """Print this host's time for every line that is read, as whoever asks wants to know the way there too."""
    for _ in range(TICKS):
        sys.stdin.readline()
        print(time.time(), flush=True)


def main(arguments: list[str]) -> int:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="webitel-host", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("facts", help="look at the host")
    commands.add_parser("clock", help="print the time for every line read")
    command = commands.add_parser("mend", help="mend what a check found")
    command.add_argument("check")
    command.add_argument("--most", type=int, default=0)
    command = commands.add_parser("line", help="send to another host and take what it sends, at the same time")
    command.add_argument("address")
    command.add_argument("peer")
    command.add_argument("port", type=int)
    command.add_argument("rate", type=int)
    command.add_argument("seconds", type=float)
    options = parser.parse_args(arguments)
    if options.command == "clock":
        tell_time()
        return 0
    if options.command == "mend":
        print(json.dumps({"problem": mend(options.check, options.most)}))
        return 0
    if options.command == "line":
        print(json.dumps(measure_line(options)))
        return 0
    print(json.dumps(dataclasses.asdict(look(load_request()))))
    return 0


def measure_line(options: argparse.Namespace) -> dict[str, object]:
    """Send and receive at once, in two processes: in one, sending would hold up receiving."""
    with concurrent.futures.ProcessPoolExecutor(max_workers=1) as pool:
        taking = pool.submit(receive, options.address, options.port, options.peer, options.seconds)
        sent = send(options.peer, options.port, options.rate, options.seconds)
        return {"sent": sent, "line": dataclasses.asdict(taking.result())}
