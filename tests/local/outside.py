"""The world outside a deployment on this host: a network namespace with an address of its own, and calls from there."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from tests.local.deployment import ROOT, UP_SECONDS
from tools.incus.network import TEST_BLOCKS, find_free_network, read_routes


def find_public_network() -> IPv4Network:
    """A network for `webitel:public_network` that this host does not have yet."""
    return find_free_network(read_routes(), blocks=TEST_BLOCKS)


def start_module(module: str, *arguments: str, inside: Sequence[str] = ()) -> "subprocess.Popen[str]":
    """A program of ours on this host, or `inside` a name space."""
    return subprocess.Popen(
        [*inside, sys.executable, "-P", "-m", module, *arguments],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )


@dataclass(frozen=True)
class Outside:
    """A host of `public`, the network that stands for the internet. All it sends goes by the router, this host."""

    name: str
    public: IPv4Network

    @property
    def address(self) -> str:
        """Its address, a trunk's."""
        return str(self.public[200])

    @property
    def stranger(self) -> str:
        """Another one, of nobody who is known."""
        return str(self.public[201])

    def attach(self) -> None:
        """Makes it, on the bridge that has the network."""
        bridge = next(route.interface for route in read_routes() if route.network == self.public)
        router, inside = str(self.public[1]), f"{self.name}i"
        for command in (
            f"ip netns add {self.name}",
            f"ip link add {self.name} type veth peer name {inside} netns {self.name}",
            f"ip link set {self.name} master {bridge} up",
            f"ip -n {self.name} link set lo up",
            f"ip -n {self.name} address add {self.address}/32 dev {inside}",
            f"ip -n {self.name} address add {self.stranger}/32 dev {inside}",
            f"ip -n {self.name} link set {inside} up",
            f"ip -n {self.name} route add {router} dev {inside}",
            f"ip -n {self.name} route add default via {router} src {self.address}",
        ):
            subprocess.run(command.split(), check=True, capture_output=True)

    def remove(self) -> None:
        """Takes it away; what is gone is no error."""
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)

    def start_call(self, server: str, *arguments: str) -> "subprocess.Popen[str]":
        """A call of `tests.tools.call` from there."""
        return self.start("tests.tools.call", f"{server}:5060", "--local", self.address, *arguments)

    def start(self, module: str, *arguments: str) -> "subprocess.Popen[str]":
        """A program of ours from there."""
        return start_module(module, *arguments, inside=("ip", "netns", "exec", self.name))

    def call(self, server: str, *arguments: str) -> dict[str, Any]:
        """A call from beginning to end, and what it says."""
        return read_result(self.start_call(server, *arguments))

    @contextmanager
    def held_call(self, server: str) -> Iterator[None]:
        """A call that stands all the time, every packet counted; it must end as it should."""
        process = self.start_call(server, "--hold", "--number", "echo")
        try:
            assert process.stdout
            said = process.stdout.readline()
            assert said == "stands\n", said
            yield
            result = read_result(process)
            assert (result["problem"], result["lost"], result["hung_up"]) == ("", 0, "caller"), result
            assert result["sent"] > 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def reaches(self, address: str, port: int) -> bool:
        """Whether a TCP connection from there is taken; this host, the router, refuses what it does not forward."""
        program = f"""
import socket
socket.create_connection(("{address}", {port}), 3).close()
"""
        command = ["ip", "netns", "exec", self.name, sys.executable, "-c", program]
        return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def read_result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a call says at its end; a call that is held ends with its input."""
    output, errors = process.communicate(timeout=UP_SECONDS)
    assert output.strip(), errors
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result
