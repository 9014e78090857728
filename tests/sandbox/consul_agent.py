"""A Consul with nothing in it, for what needs one beside the platform's."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.sandbox.consul_program import find_consul
from tests.sandbox.platform import fetch, free_port

PORTS = ("http", "dns", "grpc", "server", "serf-lan", "serf-wan")
READY_SECONDS = 30


@contextmanager
def running_agent(folder: Path) -> Iterator[str]:
    """A Consul of its own on the loopback; yields the address of its HTTP interface."""
    log = folder / "consul.log"
    process, url = start_agent(log)
    try:
        yield url
    finally:
        process.kill()
        process.wait()


def start_agent(log: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start it and wait until it leads. Its ports are free when they are chosen, and now and then not when it takes them."""
    for _ in range(3):
        ports = {name: free_port() for name in PORTS}
        words = [word for name, port in ports.items() for word in (f"-{name}-port", str(port))]
        with log.open("ab") as file:
            command = [str(find_consul()), "agent", "-dev", "-bind", "127.0.0.1", *words]
            process = subprocess.Popen(command, stdout=file, stderr=file)
        url = f"http://127.0.0.1:{ports['http']}"
        deadline = time.monotonic() + READY_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if ":" in fetch(f"{url}/v1/status/leader")[1]:
                return process, url
            time.sleep(0.1)
        process.kill()
        process.wait()
    raise AssertionError(f"Consul does not lead, tried three times:\n{log.read_text(errors='replace')[-3000:]}")
