"""`freeswitch`: reads our XML strictly and does what the rest of the platform sees of a FreeSWITCH."""

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..consul import ConsulError, Entry  # noqa: TID252 - on a node the package above is `standin`, here `sandbox.standin`
from ..words import Registration  # noqa: TID252
from . import calls, events, rpc
from .check import read_config
from .profile import read_profile
from .reader import Config, ConfigError
from .words import VERSION

MODULES = Path("/usr/lib/freeswitch/mod")
SPEED = float(os.environ.get("SANDBOX_SPEED", "1"))
"""Only for tests: times in less than their real ones."""
STOPS_AFTER = 5.0
"""Seconds from SIGTERM to the end (`facts/calls-observed.md` 5)."""


def say(text: str) -> None:
    """A line in the journal."""
    print(f"freeswitch: {text}", file=sys.stderr, flush=True)


def publish_calls(config: Config) -> None:
    """mod_amqp: keeps a connection with the exchange declared on it, whatever the broker does; nothing waits for it."""
    import pika  # type: ignore[import-not-found]
    from pika.exceptions import AMQPError  # type: ignore[import-not-found]

    value = dict(config.parameters["amqp.conf"])
    parameters = pika.ConnectionParameters(
        value["hostname"],
        int(value["port"]),
        config.value("amqp.conf", "virtualhost"),
        pika.PlainCredentials(value["username"], value["password"]),
        heartbeat=config.number("amqp.conf", "heartbeat"),
        client_properties={"connection_name": "freeswitch"},
    )
    said = ""
    while True:
        try:
            connection = pika.BlockingConnection(parameters)
            channel = connection.channel()
            channel.exchange_declare(value["exchange-name"], config.value("amqp.conf", "exchange-type"), durable=True)
            said = ""
            while True:
                connection.process_data_events(time_limit=None)
        except (AMQPError, OSError) as error:
            text = f"[ERR] mod_amqp: {type(error).__name__} {error}"
            if text != said:
                say(text)
            said = text
            time.sleep(config.number("amqp.conf", "reconnect_interval_ms") / 1000)


def register(config: Config, hostname: str) -> Entry:
    """mod_grpc's entry in Consul; a ConsulError means that the module does not load."""
    value = config.parameters["grpc.conf"]
    ttl = float(value["consul_ttl_sec"])
    deregister = config.number("grpc.conf", "consul_deregister_critical_ttl_sec")
    # Made once: it renews what Consul has lost, and never makes it anew (`facts/services-real.md` 2).
    registration = Registration("freeswitch", hostname, "grpc", ttl, ttl / 2, deregister, recovers=False)
    agent, address = value["consul_address"].removeprefix("http://"), value["grpc_host"]
    entry = Entry(agent, registration, hostname, address, int(value["grpc_port"]), SPEED, say)
    entry.register()
    entry.start()
    return entry


class FreeSwitch:
    """A running stand-in."""

    def __init__(self, config: Config, hostname: str, run: Path) -> None:
        self.config, self.hostname = config, hostname
        # A test that lays this file there has a FreeSWITCH that accepts gRPC calls and answers none.
        self.hangs = run / "hang"
        self.phone = calls.Phone(read_profile(config), say)
        self.ends = asyncio.Event()

    async def run(self, tell: Callable[[int], object]) -> int:
        """Everything up, `tell(0)`, then until SIGTERM. 1 when something critical does not load."""
        loop = asyncio.get_running_loop()
        phone, value = self.phone, self.config.value
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, self.ends.set)
        console = events.Console(phone, self.ends.set)
        password = value("event_socket.conf", "password")
        try:
            here = phone.profile.address, phone.profile.port
            await loop.create_datagram_endpoint(lambda: calls.Socket(phone), here)
            await asyncio.start_server(lambda r, w: calls.serve_stream(phone, r, w), *here)
            await asyncio.start_server(
                lambda r, w: events.serve(console, password, r, w),
                value("event_socket.conf", "listen-ip"),
                int(value("event_socket.conf", "listen-port")),
            )
            await asyncio.start_server(
                lambda r, w: rpc.serve(console.run, self.hangs, say, r, w),
                value("grpc.conf", "grpc_host"),
                int(value("grpc.conf", "grpc_port")),
            )
            entry = register(self.config, self.hostname)
        except (OSError, ConsulError) as error:
            say(f"[CRIT] {error}")
            return 1
        threading.Thread(target=publish_calls, args=(self.config,), daemon=True).start()
        for problem in self.config.problems:
            say(problem)
        say(f"{VERSION} stand-in is up: sip {phone.here}")
        tell(0)
        await self.ends.wait()
        phone.hang_up_all()
        entry.deregister()
        await asyncio.sleep(STOPS_AFTER / SPEED)
        return 0


def read_arguments() -> argparse.Namespace:
    """The flags of the vendor's unit; others are refused."""
    parser = argparse.ArgumentParser("freeswitch", add_help=False, allow_abbrev=False, prefix_chars="-")
    for flag in ("-nc", "-ncwait", "-nf", "-nonat", "-rp", "-version"):
        parser.add_argument(flag, action="store_true")
    for flag in ("-u", "-g"):
        parser.add_argument(flag)
    parser.add_argument("-conf", type=Path, default=Path("/etc/freeswitch"))
    parser.add_argument("-run", type=Path, default=Path("/run/freeswitch"))
    parser.add_argument("-mod", type=Path, default=MODULES)
    return parser.parse_args()


@contextlib.contextmanager
def pid_file(path: Path) -> Iterator[None]:
    """Our process id in a file as long as we run. Its folder is made and given to our user by the packages."""
    path.write_text(f"{os.getpid()}\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def become(user: str | None, group: str | None) -> None:
    """The user and group of the flags, when started by root."""
    import grp
    import pwd

    if os.geteuid() != 0 or not user:
        return
    account = pwd.getpwnam(user)
    gid = grp.getgrnam(group).gr_gid if group else account.pw_gid
    os.initgroups(user, gid)
    os.setgid(gid)
    os.setuid(account.pw_uid)


def main() -> int:
    """`-ncwait` ends with the status of the start, `-nc` with 0 at once, else the program stays in the foreground."""
    arguments = read_arguments()
    if arguments.version:
        print(f"FreeSWITCH version: {VERSION}: a stand-in of the sandbox, not the vendor's program")
        return 0
    if not (arguments.nc or arguments.ncwait) or arguments.nf:
        return start(arguments, lambda status: None)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.close(reading)
        status = start(arguments, lambda code: os.write(writing, bytes([code])))
        sys.stderr.flush()
        # The broker's thread may hang in a read: the process ends without asking it.
        os._exit(status)
    os.close(writing)
    if arguments.nc:
        return 0
    said = os.read(reading, 1)
    if said:
        return said[0]
    say("Error starting system!")
    return 1


def start(arguments: argparse.Namespace, tell: Callable[[int], object]) -> int:
    """Reads, starts and serves; 255 in the foreground when the configuration is refused."""
    try:
        become(arguments.u, arguments.g)
    except (KeyError, OSError) as error:
        say(f"Cannot Initialize [{error}]")
        return 255
    path = arguments.run / "freeswitch.pid"
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(pid_file(path))
        except OSError:
            say(f"Cannot open pid file {path}.")
            return 255
        hostname = socket.gethostname()
        try:
            config = read_config(arguments.conf / "freeswitch.xml", hostname, arguments.mod)
        except (ConfigError, OSError, KeyError) as error:
            say(f"Cannot Initialize [{error}]")
            return 255
        return asyncio.run(FreeSwitch(config, hostname, arguments.run).run(tell))
