"""The part of the clouds' own interfaces that our command line calls itself: what no function of a provider tells or does.

DigitalOcean's list of firewalls; on all but AWS, whose provider does it, the start of a machine; what `rest` tells.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from components.clouds.registry import CLOUDS
from tests.simulator import rest
from tests.simulator.case import load_case
from tests.simulator.libvirt.functions import VirshError
from tests.simulator.libvirt.functions import answer as virsh
from tests.simulator.vsphere import soap
from tests.simulator.world import Thing, World

FIREWALL = "digitalocean:index/firewall:Firewall"

STARTS: tuple[tuple[str, str, Mapping[str, str], Mapping[str, str]], ...] = (
    (r"/servers/(\d+)/actions/poweron", "hcloud:index/server:Server", {"status": "running"}, {}),
    (r"/v2/droplets/(\d+)/actions", "digitalocean:index/droplet:Droplet", {"status": "active"}, {"type": "power_on"}),
    (r"/(projects/.+/instances/[^/]+)/start", "gcp:compute/instance:Instance", {"currentStatus": "RUNNING"}, {}),
    (
        r"(/subscriptions/.+/virtualMachines/[^/]+)/start\?api-version=[-0-9]+",
        "azure-native:compute:VirtualMachine",
        {"powerState": "running"},
        {},
    ),
    (
        r"/api2/json/nodes/[^/]+/qemu/(\d+)/status/start",
        "proxmoxve:index/vmLegacy:VmLegacy",
        {"status": "running"},
        {},
    ),
    (r"/rest/v0/vms/([^/]+)/actions/start", "xenorchestra:index/vm:Vm", {"powerState": "Running"}, {}),
)
"""Path with the machine's id, its type, what it is after the start, and the call's body."""
GOING_DOWN = {word for name, facts in CLOUDS.items() if facts.real for word in load_case(name).stopping}
"""Words of a machine with which a cloud refuses to start it: Azure by 409, Google by 400, Hetzner by 423."""


VIRSH = """#!{python} -I
# virsh --quiet --connect URI COMMAND ...: what the simulated host answers.
import sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen("{url}/virsh", "\\n".join(sys.argv[3:]).encode()) as answer:
        sys.stdout.write(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode().strip())
"""
"""A program in place of libvirt's own."""


class Interface:
    """A server on the loopback until `stop()`; `environment` leads to it."""

    def __init__(self, world: World) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                firewalls = [{"id": thing.id, "name": thing.get("name")} for thing in world.all(FIREWALL)]
                if self.path.startswith("/v2/firewalls"):
                    self.answer(200, {"firewalls": firewalls, "links": {}})
                    return
                self.tell("GET", {})

            def tell(self, method: str, body: Mapping[str, Any]) -> None:
                document = rest.tell(world, method, urlsplit(self.path).path, body)
                self.answer(404 if document is None else 200, {"id": "not_found"} if document is None else document)

            def do_POST(self) -> None:
                if self.path == "/virsh":
                    self.answer_virsh(self.rfile.read(int(self.headers["Content-Length"])).decode().split("\n"))
                    return
                if self.path == "/sdk":
                    self.send(*soap.answer(world, self.rfile.read(int(self.headers["Content-Length"]))))
                    return
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith(":getEffectiveOrgPolicy"):
                    self.tell("POST", body)
                    return
                try:
                    started = start(world, self.path, body)
                except Busy as busy:
                    self.answer(409, {"error": str(busy)})
                    return
                self.answer(
                    201 if started else 404,
                    {"action": {"status": "running"}, "data": "UPID"} if started else {"id": "not_found"},
                )

            def answer_virsh(self, words: list[str]) -> None:
                try:
                    status, said = 200, virsh(world, words[1:], words[0])
                except VirshError as error:
                    status, said = 400, f"error: {error}"
                self.send(status, said.encode())

            def answer(self, status: int, document: Mapping[str, Any]) -> None:
                given = self.headers.get("Authorization", "")
                by_cookie = self.headers.get("Cookie", "").startswith("authenticationToken=")
                known = by_cookie or len(given.split()) == 2 or given.startswith("PVEAPIToken=")
                body = json.dumps(document if known else {"id": "unauthorized"}).encode()
                self.send(status if known else 401, body)

            def send(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.folder = tempfile.TemporaryDirectory()
        program = Path(self.folder.name) / "virsh"
        program.write_text(VIRSH.format(url=self.url, python=sys.executable))
        program.chmod(0o755)
        self.environment = {
            "PATH": f"{self.folder.name}:{os.environ['PATH']}",
            "DIGITALOCEAN_API_URL": self.url,
            "DIGITALOCEAN_TOKEN": "simulated",
            "HCLOUD_ENDPOINT": self.url,
            "HCLOUD_TOKEN": "x" * 64,
            "GOOGLE_COMPUTE_CUSTOM_ENDPOINT": self.url,
            "PROXMOX_VE_ENDPOINT": self.url,
            "PROXMOX_VE_API_TOKEN": "webitel@pve!deploy=simulated",
            "VSPHERE_SERVER": self.url,
            "VSPHERE_USER": "webitel@vsphere.local",
            "VSPHERE_PASSWORD": "simulated",
            "XOA_TOKEN": "simulated",
            "XOA_URL": self.url,
        }
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Ends the server."""
        self.server.shutdown()
        self.server.server_close()
        self.folder.cleanup()


class Busy(Exception):
    """A machine on its way down takes no start."""


def start(world: World, path: str, body: Mapping[str, Any]) -> Thing | None:
    """The machine that a call starts, None where there is none of that id or the call is another one."""
    for shape, type, outputs, wanted in STARTS:
        found = re.fullmatch(shape, path)
        if found and dict(body) == wanted and (machine := world.find(type, found[1])):
            if (word := machine.outputs.get(next(iter(outputs)))) in GOING_DOWN:
                raise Busy(f"the machine is {word}")
            with world.change():
                world.put(replace(machine, outputs={**machine.outputs, **outputs}))
            return machine
    return None
