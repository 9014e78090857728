"""The address of SIP, which two nodes have in turn, and the calls that come with it.

Who has the lock takes over in this order: its Redis, until then a copy of the other node's, takes calls; the address is this
node's; the neighbours are told; then the keeper starts rtpengine, OpenSIPS and UAC. All of it is looked at again and again, so
that what fails or is undone is done anew. Who loses the lock gives the address up first, whatever its programs still do: without
it nobody hears them.
"""

import math
import pathlib
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable

from ..ask import redis
from ..ask.view import View
from ..manifest import Manifest, ProbeEntry, ServiceEntry, load_manifest
from ..system import ApplyError, Unhealthy, run, write_private

SERVICE = "sip-address"
HEARD = ("rtpengine", "opensips")
"""What speaks by the address. The rest of what moves with it may stop before."""
READ, READ_AGAIN_SECONDS = ("nice", "-n", "19", "rtpengine", "--version"), 300.0
"""What has the programs of calls read, where nobody runs them; they are 180 MB (facts/rtpengine-redis.md 11)."""
LOOPBACK = "127.0.0.1"
LOOK_SECONDS = 0.2
ANNOUNCEMENTS, ANNOUNCE_SECONDS, ANNOUNCE_AGAIN_SECONDS = 6, 1.0, 10.0
"""How often neighbours are told at first, how long between two of these, for one may be lost, and between two later on: whoever
comes into the network, or back, may remember the other node."""
OLD_SECONDS = 300
"""How long a copy may have had nobody to copy from: FreeSWITCH has hung up by then, after as long without audio."""
PROMOTED = pathlib.Path("/run/webitel/sip-address")
"""When this node took over, in seconds since its boot."""
LEFT = pathlib.Path("/run/webitel/sip-address-left")
"""When this node's Redis was told to copy the other's instead, likewise."""
TAKEN = pathlib.Path("/run/webitel/sip-address-taken")
"""The address that this node took last: another one by now, where its owner has chosen so."""
HELD = pathlib.Path("/run/webitel/sip-address-held")
"""Is there while the address is this node's by its lock, for the program that has a cloud move it: the image's own programs may
put the address on the interface too, by what the cloud said a while ago."""
DISCARD = 9
"""A port, to which nothing is sent."""
ETHERNET_ARP, REQUEST = 0x0806, 1
BROADCAST, NOBODY = b"\xff" * 6, b"\0" * 6


def probe(_: ProbeEntry, view: View) -> None:
    """Check that this node has the address, and its Redis takes calls."""
    for address in list_addresses(view.manifest):
        if not is_here(address):
            raise Unhealthy(f"{address} is not this node's")
    if ask_copy(view.manifest)["role"] != "master":
        raise Unhealthy("Redis still copies another node's calls")


def list_addresses(manifest: Manifest) -> dict[str, str]:
    """Return the addresses that are this node's with the lock, each with one of its own on the same interface: the public one too
    where no cloud translates it."""
    move = manifest.get("address_move")
    outer = {move["public"]: move["beside"]} if move and "beside" in move else {}
    return {manifest["sip_address"]: manifest["address"], **outer}


def stops_first(service: ServiceEntry) -> bool:
    """Tell whether a service moves with the address and nobody hears that it has stopped already."""
    return service.get("lock") == SERVICE and service["name"] not in HEARD


def is_here(address: str) -> bool:
    """Tell whether an address is this node's: then the way there begins at the address itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect((address, DISCARD))
        except OSError:
            return False
        found: str = asked.getsockname()[0]
        return found == address


def find_link(address: str) -> str:
    """Return the interface that has an address; "" where none has."""
    found = re.search(r"^\d+: (\S+)", run(["ip", "-o", "-4", "addr", "show", "to", address]).stdout)
    return found[1] if found else ""


def ask_copy(manifest: Manifest) -> dict[str, str]:
    """Ask Redis whose calls it has: `role`, and where that is `slave` how its link is."""
    said = str(redis.ask(LOOPBACK, manifest["ports"]["redis_calls"], "INFO", "replication"))
    return dict(line.split(":", 1) for line in said.splitlines() if ":" in line)


def promote(manifest: Manifest) -> None:
    """Have Redis take calls; what it copied from nobody for too long is over."""
    found = ask_copy(manifest)
    if found["role"] == "master":
        return
    old = measure_age(manifest, found) > OLD_SECONDS
    port = manifest["ports"]["redis_calls"]
    redis.ask_all(LOOPBACK, port, [("REPLICAOF", "NO", "ONE"), *([("FLUSHDB",)] if old else [])])
    write_private(PROMOTED, f"{time.monotonic():.0f}\n", 0o644)
    print("Redis takes calls" + (", and forgot those of a node that was lost long ago" if old else ""), flush=True)


def measure_age(manifest: Manifest, copy: dict[str, str]) -> float:
    """Return for how many seconds nobody has told this copy of calls; beyond measure where that is not known."""
    down = int(copy.get("master_link_down_since_seconds", "0"))
    # -1: it has copied from nobody since it was told to: either it is empty, or it has the calls that were this node's own.
    if down >= 0 or not redis.ask(LOOPBACK, manifest["ports"]["redis_calls"], "DBSIZE"):
        return max(down, 0)
    return time.monotonic() - float(LEFT.read_text()) if LEFT.exists() else math.inf


def lacks_calls(manifest: Manifest) -> bool:
    """Tell whether this node's Redis has copied nothing since its start, or does not answer: the other one's may have calls."""
    try:
        found = ask_copy(manifest)
        copies = found["role"] != "master" and found.get("master_link_down_since_seconds") == "-1"
        return copies and not redis.ask(LOOPBACK, manifest["ports"]["redis_calls"], "DBSIZE")
    except (OSError, KeyError):
        return True


def describe_missing_copy(manifest: Manifest) -> str:
    """Say that no other node has a copy of the calls that this one has; "" = one has."""
    try:
        found = ask_copy(manifest)
    except (OSError, KeyError) as error:
        return f"it is unknown who has a copy of its calls: Redis: {str(error) or type(error).__name__}"
    copied = any(name.startswith("slave") and "state=online" in said for name, said in found.items())
    return "" if copied else "no other node has a copy of its calls"


def demote(manifest: Manifest) -> None:
    """Have Redis copy the other node's calls, where there is another node."""
    if ask_copy(manifest)["role"] != "master":
        return
    service = next(service for service in manifest["services"] if service["name"] == SERVICE)
    other = next((one["address"] for one in service["candidates"] if one["key"] != manifest["key"]), "")
    if not other:
        return
    port = manifest["ports"]["redis_calls"]
    PROMOTED.unlink(missing_ok=True)
    write_private(LEFT, f"{time.monotonic():.0f}\n")
    redis.ask(LOOPBACK, port, "REPLICAOF", other, str(port))
    print(f"Redis copies the calls of {other}", flush=True)


def announce(manifest: Manifest, link: str) -> None:
    """Tell all neighbours where the address is now (gratuitous ARP, RFC 5227 section 3)."""
    address = socket.inet_aton(manifest["sip_address"])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sender:
        sender.bind((link, ETHERNET_ARP))
        own: bytes = sender.getsockname()[4]
        body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, REQUEST, own, address, NOBODY, address)
        sender.send(BROADCAST + own + struct.pack("!H", ETHERNET_ARP) + body)


class Calls:
    """What the keeper does by the lock, beside starting and stopping units; `may` tells whether the lock is this node's, None
    while that is not known yet."""

    def __init__(self, may: Callable[[], bool | None], told: threading.Event) -> None:
        """Take an event to be set when units may follow; `woken` is one of its own, to be set when the lock came or went."""
        self.may, self.ready, self.told = may, False, ""
        self.turned, self.woken = told, threading.Event()
        self.left, self.announced = 0, 0.0
        self.read = -math.inf
        self.former: str | None = None
        self.reading: subprocess.Popen[bytes] | None = None

    def follow(self, ended: threading.Event) -> None:
        """Have Redis take calls while the lock is this node's, else copy them; a thread, for a Redis that hangs holds it."""
        while not ended.is_set():
            if (may := self.may()) is None:
                self.rest()
                continue
            try:
                (promote if may else demote)(load_manifest())
                self.told = ""
            except (OSError, KeyError, ValueError) as error:
                # Calls whose Redis is dead or hangs go on with the address, and new ones are not kept.
                self.say(f"Redis: {str(error) or type(error).__name__}")
            if not may:
                self.keep_ready()
            was, self.ready = self.ready, may
            if may and not was:
                self.turned.set()
            self.rest()

    def keep_ready(self) -> None:
        """Have in memory what rtpengine is loaded from: from the disk that takes a second and more, in which calls are silent."""
        if time.monotonic() - self.read < READ_AGAIN_SECONDS or (self.reading and self.reading.poll() is None):
            return
        self.read = time.monotonic()
        self.reading = subprocess.Popen(READ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def rest(self) -> None:
        """Wait until the next look."""
        self.woken.wait(LOOK_SECONDS)
        self.woken.clear()

    def turn(self, manifest: Manifest, may: bool) -> bool:
        """Have the address where the lock is; tell whether units may follow. Raises ApplyError where it cannot be had."""
        address = manifest["sip_address"]
        self.leave_former(address)
        if not may:
            self.ready = False
            HELD.unlink(missing_ok=True)
            for one in filter(is_here, list_addresses(manifest)):
                self.change("del", one, find_link(one))
                print(f"{one} is given up", flush=True)
            return True
        if not self.ready:
            return False
        for one, beside in list_addresses(manifest).items():
            if is_here(one):
                continue
            write_private(TAKEN, address)
            self.change("add", one, find_link(beside))
            print(f"{one} is this node's", flush=True)
            self.left, self.announced = ANNOUNCEMENTS, 0.0
        if "address_move" in manifest and not HELD.exists():
            write_private(HELD, "")
        if time.monotonic() - self.announced >= (ANNOUNCE_SECONDS if self.left else ANNOUNCE_AGAIN_SECONDS):
            self.left, self.announced = max(self.left - 1, 0), time.monotonic()
            try:
                announce(manifest, find_link(manifest["address"]))
            except OSError as error:
                self.say(f"{address} is not announced: {error}")
        return True

    def leave_former(self, address: str) -> None:
        """Take an address off that was the one of SIP before."""
        if self.former is None:
            self.former = TAKEN.read_text() if TAKEN.exists() else ""
        if self.former not in ("", address) and is_here(self.former):
            self.change("del", self.former, find_link(self.former))
            print(f"{self.former} is given up: the address of SIP is {address} now", flush=True)
        self.former = address

    def change(self, verb: str, address: str, link: str) -> None:
        """Put the address on an interface, or take it off, whatever network it was put there with."""
        whole, lasting = [f"{address}/32"], ["noprefixroute"] if verb == "add" else []
        if verb == "del":
            shown = run(["ip", "-o", "-4", "addr", "show", "dev", link, "to", address]).stdout
            whole = re.findall(r" inet (\S+)", shown) or whole
        for one in whole:
            done = run(["ip", "addr", verb, one, "dev", link, *lasting])
            if done.returncode != 0:
                raise ApplyError(f"{address} on {link or 'no interface'}: {done.stderr.strip()}")

    def say(self, text: str) -> None:
        """Print what was not printed last."""
        if text != self.told:
            print(text, flush=True)
        self.told = text
