"""`opensips`: reads our configuration strictly, starts as the real one does (`facts/observed.md` 8.3), and runs Kamailio."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from .checks import read_config
from .kamailio import SET, database_url, dispatcher_list, outer_socket, write_kamailio
from .management import VERSION, KamailioError, ask_kamailio, enable_rtpengine, rtpengine_nodes, serve
from .reader import Config
from .tokens import ConfigError

REFUSED = 255
TABLES = {"sip_registrant": 3, "dispatcher": 9, "location": 1013, "sip_address_allow": 5}
"""The versions that OpenSIPS 3.4 asks for (`facts/observed.md` 8.3)."""

WEBSOCKET = Path("/usr/lib/x86_64-linux-gnu/kamailio/modules/websocket.so")
STARTS_WITHIN = 10.0


class StartError(Exception):
    """The real program would not start either; the text says why."""


def say(text: str) -> None:
    """A line in the journal."""
    print(f"opensips: {text}", file=sys.stderr, flush=True)


def query_database(config: Config, statement: str) -> list[tuple[str | int, ...]]:
    """Rows of one query with the configuration's own URL; StartError when the database refuses."""
    import psycopg2

    try:
        connection = psycopg2.connect(database_url(config), connect_timeout=2)
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()
    except psycopg2.Error as error:
        raise StartError(f"db_postgres: {' '.join(str(error).split())}") from error


def check_database(config: Config) -> None:
    """The tables that modules check at start."""
    found = {str(name): int(version) for name, version in query_database(config, "select table_name, table_version from version")}
    for table, wanted in TABLES.items():
        if found.get(table, 0) != wanted:
            raise StartError(f"invalid version {found.get(table, 0)} for table {table} found, expected {wanted}")
    query_database(config, "select realm, user_id, auth_id, digest_ha1 from sip_subscriber limit 0")


def check_sockets(config: Config) -> None:
    """Addresses that the node has, and ports that are free."""
    for row in config.sockets:
        kind = socket.SOCK_DGRAM if row.protocol == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
            try:
                probe.bind((row.address.replace("*", "0.0.0.0"), row.port))
            except OSError as error:
                raise StartError(f"bind({row.protocol}:{row.address}:{row.port}): {error.strerror}") from error


class Server:
    """Kamailio under the name opensips, and the management interface beside it."""

    def __init__(self, config: Config, run: Path) -> None:
        self.config, self.run = config, run
        self.kamailio: subprocess.Popen[bytes] | None = None
        self.ends = False

    def write_dispatcher(self) -> None:
        """Kamailio's list, from the table as it is now."""
        rows = query_database(
            self.config, "select setid, destination, coalesce(socket, '') from dispatcher order by setid, id")
        if not any(int(row[0]) == SET for row in rows):
            say(f"WARNING: dispatcher: no destination in set {SET}")
        text = dispatcher_list((int(group), str(where), str(via)) for group, where, via in rows)
        (self.run / "dispatcher.list").write_text(text)

    def reload_dispatcher(self) -> str:
        """MI `ds_reload`."""
        try:
            self.write_dispatcher()
        except StartError as error:
            raise KamailioError(str(error)) from error
        ask_kamailio(self.run, "dispatcher.reload")
        return "OK"

    def start(self) -> None:
        """Everything up, or a StartError."""
        check_database(self.config)
        check_sockets(self.config)
        self.write_dispatcher()
        commands: dict[str, Callable[..., Any]] = {
            "version": lambda: {"Server": f"OpenSIPS ({VERSION}, stand-in of the sandbox on Kamailio)"},
            "rtpengine_show": lambda: rtpengine_nodes(self.run), "ds_reload": self.reload_dispatcher,
            "rtpengine_enable": lambda url, enable: enable_rtpengine(self.run, url, enable),
            "ds_list": lambda: ask_kamailio(self.run, "dispatcher.list"), "ul_dump": lambda: ask_kamailio(self.run, "ul.dump"),
            "uptime": lambda: ask_kamailio(self.run, "core.uptime"), "subscribers_list": self.subscribers,
        }
        address = str(self.config.parameter("httpd", "ip")), int(self.config.parameter("httpd", "port"))
        # The real one starts without its interface's address too and dies a moment later (facts/observed.md 8.2).
        interface = serve(address, commands)
        threading.Thread(target=interface.serve_forever, daemon=True).start()
        configuration = self.run / "kamailio.cfg"
        # The database password is in it.
        os.umask(0o077)
        configuration.write_text(write_kamailio(self.config, str(self.run), WEBSOCKET.exists()))
        (self.run / "rpc.sock").unlink(missing_ok=True)
        self.kamailio = subprocess.Popen(
            ["opensips", "-DD", "-E", "-f", str(configuration), "-Y", str(self.run), "-m", "32", "-M", "8"],
            executable="/usr/sbin/kamailio", env={**os.environ, "PGAPPNAME": "opensips"}, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + STARTS_WITHIN
        while self.kamailio.poll() is None and time.monotonic() < deadline:
            try:
                # It refuses while its processes come up.
                ask_kamailio(self.run, "rtpengine.show", "all")
                return
            except KamailioError:
                time.sleep(0.1)
        self.stop()
        raise StartError("Kamailio did not start")

    def subscribers(self) -> list[dict[str, str]]:
        """The events of `startup_route`; their receivers without the password."""
        return [
            {"name": call.arguments[0], "socket": "rabbitmq:" + call.arguments[1].rpartition("@")[2]}
            for call in self.config.calls_of("subscribe_event")
        ]

    def wait(self) -> int:
        """Until Kamailio ends: 0 when told to, else its status."""
        assert self.kamailio
        status = self.kamailio.wait()
        return 0 if self.ends else status or 1

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ends Kamailio."""
        self.ends = True
        if self.kamailio and self.kamailio.poll() is None:
            self.kamailio.terminate()


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
    # Not a flag of the real one: where a test keeps what /run/opensips holds on a node.
    parser.add_argument("--run", type=Path, default=Path("/run/opensips"))
    return parser.parse_args()


def main() -> int:
    """Exit status 255 when refused, as the real one."""
    arguments = read_arguments()
    if arguments.version:
        print(f"version: opensips {VERSION}: a stand-in of the sandbox on Kamailio, not the vendor's program")
        return 0
    try:
        config = read_config(arguments.file.read_text())
        write_kamailio(config, str(arguments.run), False)
    except (ConfigError, OSError) as error:
        say(f"CRITICAL: {arguments.file}: {error}")
        return REFUSED
    if arguments.check:
        for row in config.sockets:
            say(f"Listening on {row.protocol}: {row.address}:{row.port}")
        say("NOTICE: config file ok, exiting...")
        return 0
    if arguments.foreground:
        return run(config, arguments, lambda status: None)
    return daemonize(config, arguments)


def run(config: Config, arguments: argparse.Namespace, tell: Callable[[int], object]) -> int:
    """Starts, reports 0 or 255 and serves until the end."""
    server = Server(config, arguments.run)
    try:
        server.start()
    except (StartError, OSError) as error:
        say(f"CRITICAL: {error}")
        tell(REFUSED)
        return REFUSED
    if arguments.pid:
        arguments.pid.write_text(f"{os.getpid()}\n")
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, server.stop)
    outer = outer_socket(config)
    say(f"{VERSION} stand-in is up on udp:{outer.address}:{outer.port}")
    tell(0)
    return server.wait()


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
