"""The mesh: packets for other nodes' private addresses go through WireGuard, and every address stays as it is.

WireGuard's interface has no address of the network. A rule leads packets into a table of its own, which has a route for each
node that has answered; WireGuard's own packets have a mark and pass it by, as does what the manifest names: SSH, by which a
broken mesh is mended, and audio. So a deployment gets there by itself while it runs: a node takes what comes by the mesh as
soon as it has the interface, and sends through it to those that have shaken hands, which takes the keys of both. From then on
it sends to them through the mesh or not at all, also after a restart: else whoever can drop packets could have them sent in the
clear.
"""

import json
import os
import pathlib
import signal
import socket
import threading
import time
from collections.abc import Iterable, Mapping

from ..ask.view import View
from ..manifest import Manifest, MeshEntry, ProbeEntry, load_manifest
from ..report import MachineRow
from ..system import ApplyError, Unhealthy, run, write_private
from .mesh_routes import LINK, MARK, ask, find_rules, lead, lead_nowhere, list_rules, read_size

UNIT = "webitel-mesh"
KEY_FILE = pathlib.Path("/etc/webitel/mesh.key")
MET = pathlib.Path("/var/lib/webitel/mesh.json")
"""Public keys of the peers that have answered."""
NOBODYS = "192.0.0.8/32"
"""The interface's only address, which nobody is reached by and nobody sends from (RFC 7600: that of a node without one). Into an
interface without any the kernel lets only what would go out by it too, also where `rp_filter` is loose (`facts/mesh.md` 9): while
one of two peers sends through the mesh and the other past it, nothing would arrive."""
HEADERS = 80
"""Bytes that WireGuard adds to a packet at most: 60 with IPv4 around it, 80 with IPv6 (wg-quick(8) takes these too)."""
KEEP_SECONDS, LATE_SECONDS = 25, 200.0
"""A packet at least as often, so that a peer that lives has shook hands again within 120 s, and after what it is late."""
LOOK_SECONDS, SETTLED_SECONDS = 1.0, 3.0
"""Between two looks: while a peer has not answered yet or something fails, and else."""


class Mesh:
    """The program: it brings about what the manifest says, again and again."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.configured = ""
        self.problem = ""

    def run(self) -> int:
        """Run until told to end; WireGuard and the routes stay as they are."""
        settled = self.attempt()
        notify_ready()
        while not self.ended.wait(SETTLED_SECONDS if settled else LOOK_SECONDS):
            settled = self.attempt()
        return 0

    def attempt(self) -> bool:
        """Look once, and say what cannot be done, once; tell whether there is nothing left to do."""
        settled, problem = False, ""
        try:
            settled = self.look(load_manifest())
        except (ApplyError, OSError, ValueError) as error:
            problem = str(error)
        if problem and problem != self.problem:
            print(problem, flush=True)
        self.problem = problem
        return settled

    def look(self, manifest: Manifest) -> bool:
        """Bring about what a manifest says; tell whether every peer has answered."""
        mesh = manifest.get("mesh")
        if mesh is None:
            return True
        met = load_met(mesh) if mesh["sends"] else set()
        if not has_link():
            self.configured = ""
            # There is still no way out in the clear.
            lead(manifest["address"], mesh, met)
            make_link()
        text = make_text(mesh)
        if text != self.configured:
            ask("wg", "syncconf", LINK, "/dev/stdin", text=text)
            self.configured = text
        if not ask("ip", "-o", "address", "show", "dev", LINK, "to", NOBODYS):
            ask("ip", "address", "add", NOBODYS, "dev", LINK, "scope", "host")
        if (size := measure(manifest)) != read_size():
            ask("ip", "link", "set", LINK, "mtu", str(size), "up")
        if mesh["sends"]:
            known = {peer["public"] for peer in mesh["peers"]}
            met |= {public for public, age in read_ages().items() if age is not None and public in known}
            save_met(met)
        lead(manifest["address"], mesh, met)
        if not mesh["sends"]:
            MET.unlink(missing_ok=True)
        return not mesh["sends"] or len(met) == len(mesh["peers"])


def make_link() -> None:
    """Make WireGuard's interface, by the kernel or else by Debian's program, which then runs by itself."""
    if run(["ip", "link", "add", "dev", LINK, "type", "wireguard"]).returncode:
        made = run(["wireguard-go", LINK])
        if made.returncode:
            raise ApplyError(f"neither the kernel nor wireguard-go makes an interface: {made.stderr.strip()[-300:]}")


def has_link() -> bool:
    """Tell whether the interface is there."""
    return run(["ip", "link", "show", "dev", LINK]).returncode == 0


def make_text(mesh: MeshEntry) -> str:
    """Return WireGuard's configuration, in the words of wg(8)."""
    lines = ["[Interface]", f"PrivateKey = {KEY_FILE.read_text().strip()}", f"ListenPort = {mesh['port']}", f"FwMark = {MARK}"]
    for peer in mesh["peers"]:
        lines += [
            "[Peer]",
            f"PublicKey = {peer['public']}",
            f"AllowedIPs = {peer['address']}/32",
            f"Endpoint = {peer['address']}:{mesh['port']}",
            f"PersistentKeepalive = {KEEP_SECONDS}",
        ]
    return "\n".join(lines) + "\n"


def measure(manifest: Manifest) -> int:
    """Return the largest packet that fits through the private network with WireGuard's own headers around it."""
    shown = ask("ip", "-json", "address", "show", "to", manifest["address"])
    sizes = [int(one["mtu"]) for one in json.loads(shown or "[]") if one]
    if not sizes:
        raise ApplyError(f"{manifest['address']} is on no interface")
    return min([*sizes, *([most] if (most := manifest.get("largest_packet")) else [])]) - HEADERS


def read_ages() -> dict[str, float | None]:
    """Return by public key for how many seconds a peer has not shaken hands; None of one that never has."""
    shown = [line.split() for line in ask("wg", "show", LINK, "latest-handshakes").splitlines()]
    return {public: time.time() - float(at) if at != "0" else None for public, at in shown}


def load_met(mesh: MeshEntry) -> set[str]:
    """Return which of the peers have answered so far."""
    known: list[str] = json.loads(MET.read_text()) if MET.exists() else []
    return {peer["public"] for peer in mesh["peers"]} & set(known)


def save_met(met: Iterable[str]) -> None:
    """Remember which have answered."""
    text = json.dumps(sorted(met))
    if not MET.exists() or MET.read_text() != text:
        write_private(MET, text)


def forget() -> None:
    """Take all of it away: the node has no mesh any more."""
    lead_nowhere()
    MET.unlink(missing_ok=True)
    if has_link():
        ask("ip", "link", "delete", "dev", LINK)


def list_late(manifest: Manifest) -> dict[str, str]:
    """Return by peer what is wrong with it."""
    mesh = manifest.get("mesh")
    if mesh is None or not has_link():
        return {}
    ages, met = read_ages(), load_met(mesh)
    wrong = {}
    for peer in mesh["peers"]:
        age = ages.get(peer["public"])
        if peer["public"] in met and (age is None or age > LATE_SECONDS):
            wrong[peer["key"]] = "does not answer" if age is None else f"has not answered for {age:.0f} s"
        elif mesh["sends"] and peer["public"] not in met:
            wrong[peer["key"]] = "has not answered yet and is reached in the clear"
    return wrong


def report(manifest: Manifest) -> MachineRow | None:
    """Tell which peers do not answer, and that the mesh is about to end; None where all is well or there is none."""
    mesh = manifest.get("mesh")
    if mesh is None:
        return None
    try:
        late = list_late(manifest)
    except ApplyError as error:
        return {"name": "mesh", "healthy": True, "warning": True, "why": str(error)}
    told = [f"{key} {why}" for key, why in late.items()]
    told += [] if mesh["sends"] else ["nothing is sent through it: webitel:mesh_sends is false"]
    return {"name": "mesh", "healthy": True, "warning": True, "why": "; ".join(told)} if told else None


def probe(_: ProbeEntry, view: View) -> None:
    """Check that WireGuard and what leads to it are there."""
    mesh = view.manifest["mesh"]
    try:
        shown = ask("wg", "show", LINK, "peers").split()
        rules = find_rules()
    except ApplyError as error:
        raise Unhealthy(str(error)) from error
    if missing := [peer["key"] for peer in mesh["peers"] if peer["public"] not in shown]:
        raise Unhealthy(f"WireGuard does not know {', '.join(missing)}")
    if set(rules) != (set(list_rules(mesh)) if mesh["sends"] else set()):
        raise Unhealthy("the rules that lead to it are not there")


def notify_ready(environment: Mapping[str, str] = os.environ) -> None:
    """Tell systemd that the others may start, where it asked for that."""
    if place := environment.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"READY=1", place.replace("@", "\0", 1) if place.startswith("@") else place)


def follow() -> int:
    """Run the program, a unit on every node of a mesh."""
    mesh = Mesh()
    signal.signal(signal.SIGTERM, lambda number, frame: mesh.ended.set())
    return mesh.run()
