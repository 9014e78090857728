"""`opensips`: reads our configuration strictly, starts as the real one does (`facts/observed.md` 8.3), and runs its script."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .checks import read_config
from .management import VERSION, serve
from .reader import Config
from .tokens import ConfigError
from .tree import Value

if TYPE_CHECKING:
    from .core import Core

REFUSED = 255
USUAL_VERSIONS = {"uac_registrant": ("table_name", 3), "dispatcher": ("table_name", 9), "permissions": ("address_table", 5)}
"""Module -> the parameter that names its table, and the version that OpenSIPS 3.4 asks for (`facts/observed.md` 8.3)."""

LOCATION_VERSION = 1013
DOMAIN_VERSION = 4


MEMORY_MIB = 64
"""Shared memory without `-m`."""


@dataclass(frozen=True)
class Memory:
    """Bytes of shared memory, and what the process had when it started."""

    size: int
    at_start: int


class StartError(Exception):
    """The real program would not start either; the text says why."""


def read_memory() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def read_statistics(core: Core, names: Sequence[str], memory: Memory) -> dict[str, Value]:
    """Counters by `module:name`; asked for by name, by `module:` or with `all`."""
    declared = core.config.parameters.get(("statistics", "variable"), [])
    found: dict[str, Value] = {f"script:{name}": core.statistics.get(str(name), 0) for name in declared}
    if core.has("dialog"):
        found["dialog:active_dialogs"] = len(core.dialogs.by_id)
    if core.has("usrloc"):
        found["usrloc:registered_users"] = core.location.count_users()
    if core.has("tm"):
        found |= {name: core.counters[name] for name in (f"tm:{digit}xx_transactions" for digit in range(2, 7))}
    found["core:rcv_requests"] = core.counters["core:rcv_requests"]
    found["shmem:total_size"] = memory.size
    # The real one's holds what it knows of calls and phones; ours is in its process, beside Python itself.
    found["shmem:real_used_size"] = max(0, read_memory() - memory.at_start)
    return {
        key: value
        for key, value in found.items()
        if {"all", key, key.partition(":")[0] + ":", key.partition(":")[2]} & set(names)
    }


def say(text: str) -> None:
    """A line in the journal."""
    print(f"opensips: {text}", file=sys.stderr, flush=True)


def check_tables(config: Config) -> None:
    """The versions of the tables that modules check at their start."""
    from .sql import Databases, SqlError

    wanted: dict[tuple[str, str], int] = {}
    """Module and table -> the version."""
    for module, (parameter, version) in USUAL_VERSIONS.items():
        if module in config.modules and config.text(module, "db_url"):
            wanted[module, config.text(module, parameter)] = version
    if "usrloc" in config.modules and config.text("usrloc", "working_mode_preset") != "single-instance-no-db":
        wanted["usrloc", "location"] = LOCATION_VERSION
    errors: list[str] = []
    databases = Databases(config, errors.append)
    for (module, table), version in wanted.items():
        try:
            rows = databases.query(module, f"select table_version from version where table_name='{table}'")
        except SqlError as error:
            raise StartError(f"db_postgres: {errors[0] if errors else error}") from error
        found = int(str(rows[0][0])) if rows else 0
        if found != version:
            raise StartError(f"invalid version {found} for table {table} found, expected {version}")


def run(config: Config, arguments: argparse.Namespace, tell: Callable[[int], object]) -> int:
    """Starts, reports 0 or 255 and serves until the end."""
    from .core import Core
    from .sql import SqlError

    try:
        check_tables(config)
        core = Core(config)
        core.commands["version"] = lambda: {"Server": f"OpenSIPS ({VERSION}, stand-in of the sandbox)"}
        core.commands["reload_routes"] = lambda: reload_routes(core, arguments.file)
        memory = Memory(int(arguments.m or MEMORY_MIB) * 2**20, read_memory())
        core.commands["get_statistics"] = lambda statistics=("all",): read_statistics(core, statistics, memory)
        core.commands["uptime"] = lambda: {"Up time": f"{int(time.time() - core.started)} [sec]"}
        core.start()
        if "mi_http" in config.modules:
            # The real one starts without its interface's address too and dies a moment later (facts/observed.md 8.2).
            address = config.text("httpd", "ip").replace("*", ""), config.number("httpd", "port")
            interface = serve(address, config.text("mi_http", "root"), core.commands)
            threading.Thread(target=interface.serve_forever, daemon=True).start()
    except (StartError, SqlError, ConfigError, OSError) as error:
        say(f"CRITICAL: {error}")
        tell(REFUSED)
        return REFUSED
    if arguments.pid:
        arguments.pid.write_text(f"{os.getpid()}\n")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    signal.signal(signal.SIGINT, lambda number, frame: stop.set())
    outer = next(socket for socket in config.sockets if socket.protocol == "udp")
    say(f"{VERSION} stand-in is up on udp:{outer.address}:{outer.port}")
    tell(0)
    while not stop.wait(3600):
        pass
    core.stop()
    return 0


def reload_routes(core: Core, file: Path) -> str:
    """MI `reload_routes`: the script anew; sockets, modules and parameters stay."""
    from .management import CommandError

    try:
        fresh = read_config(file.read_text())
    except (ConfigError, OSError) as error:
        raise CommandError(f"reload failed: {error}") from error
    missing = [name for name in fresh.modules if name not in core.config.modules]
    if missing:
        raise CommandError(f"reload failed: module {missing[0]} is not loaded")
    core.config.routes, core.config.calls = fresh.routes, fresh.calls
    return "OK"


def read_arguments() -> argparse.Namespace:
    """The flags of the vendor's unit; others are refused."""
    parser = argparse.ArgumentParser("opensips", add_help=False, allow_abbrev=False)
    parser.add_argument("-f", dest="file", type=Path, default=Path("/etc/opensips/opensips.cfg"))
    parser.add_argument("-C", dest="check", action="store_true")
    parser.add_argument("-F", dest="foreground", action="store_true")
    parser.add_argument("-V", dest="version", action="store_true")
    parser.add_argument("-P", dest="pid", type=Path)
    for flag in ("-m", "-M", "-u", "-g"):
        parser.add_argument(flag)
    return parser.parse_args()


def main() -> int:
    """Exit status 255 when refused, as the real one."""
    arguments = read_arguments()
    if arguments.version:
        print(f"version: opensips {VERSION}: a stand-in of the sandbox, not the vendor's program")
        return 0
    try:
        config = read_config(arguments.file.read_text())
    except (ConfigError, OSError) as error:
        say(f"CRITICAL: {arguments.file}: {error}")
        return REFUSED
    if arguments.check:
        for row in config.sockets:
            say(f"Listening on {row.protocol}: {row.address}:{row.port}")
        say("NOTICE: config file ok, exiting...")
        return 0
    status = run(config, arguments, lambda status: None) if arguments.foreground else daemonize(config, arguments)
    sys.stderr.flush()
    # Threads may wait in a driver: the process ends without asking them.
    os._exit(status)


def daemonize(config: Config, arguments: argparse.Namespace) -> int:
    """The parent ends with the status that the start had."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.close(reading)
        status = run(config, arguments, lambda code: os.write(writing, bytes([code])))
        sys.stderr.flush()
        os._exit(status)
    os.close(writing)
    said = os.read(reading, 1)
    return said[0] if said else REFUSED
