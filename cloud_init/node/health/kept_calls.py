"""rtpengine's calls: whether a restart finds them again in Redis, and the restarts that wait for that."""

import pathlib
import re
import socket
import time

from ..ask import redis
from ..ask.view import View
from ..clusters import sip_address
from ..manifest import Manifest, ProbeEntry
from ..report import MachineRow
from ..system import STAGED, Unhealthy, systemctl, write_private

PUT_OFF = pathlib.Path("/run/webitel/put-off")
"""A file for each unit whose restart waits, with the invocation that is to end."""
LOOPBACK = "127.0.0.1"
TIMEOUT_SECONDS = 3.0
WRITING_SECONDS = 0.3
"""What rtpengine takes at most to write a call that has just begun."""
REWRITE_SECONDS = 90.0
"""Between two rewrites. Each keeps calls without audio from ending for rtpengine's `timeout`, which must be shorter."""
LARGEST_MEMORY_SHARE = 0.85
STALE_SECONDS = 300.0
"""How long Redis keeps a call that rtpengine does not know: FreeSWITCH hangs up after as long without audio, so until then
rtpengine's next start may still be its rescue."""
CALL = re.compile(r"^callid:\s+(.+?) \| deletionmark:\s*(yes|no)\b", re.MULTILINE)
TOTAL = re.compile(r"^Current sessions total:\s*(\d+)$", re.MULTILINE)
LISTINGS = 3
"""How often the list is read until it is as long as rtpengine says."""
BROWSER = '"protocol":"UDP/TLS'
"""What stands in the value of a call whose ICE and DTLS no restart brings back (`facts/rtpengine-redis.md` 5)."""
SECRET = '"protocol":"RTP/SAVP'
"""What stands in the value of a call with SRTP. It comes back only with a value of less than ten minutes ago
(`facts/rtpengine-redis.md` 10)."""
PROBE = "probe-"
"""How the calls of the health check begin (`ask/sip.py`)."""


def probe_redis(probe: ProbeEntry, view: View) -> None:
    """Check that Redis answers, and has room."""
    said = str(redis.ask(probe["address"], probe["port"], "INFO", "memory"))
    used, most = (int(found[1]) if (found := re.search(rf"{name}:(\d+)", said)) else 0 for name in ("used_memory", "maxmemory"))
    if used > LARGEST_MEMORY_SHARE * most:
        raise Unhealthy(f"it uses {used / 1e6:.0f} MB of {most / 1e6:.0f} MB")


def probe_copy(_: ProbeEntry, view: View) -> None:
    """Check that Redis has the other node's calls where that has the address of SIP."""
    copy = sip_address.ask_copy(view.manifest)
    if copy["role"] != "master" and copy["master_link_status"] != "up":
        raise Unhealthy(f"it does not reach the Redis of {copy['master_host']}, so calls there would be lost with that node")


def has_redis(manifest: Manifest) -> bool:
    """Tell whether this node's rtpengine keeps its calls."""
    return any(service["name"] == "redis" for service in manifest["services"])


def ask_rtpengine(manifest: Manifest, command: str) -> str:
    """Send rtpengine's command line interface one command."""
    with socket.create_connection((LOOPBACK, manifest["ports"]["rtpengine_cli"]), TIMEOUT_SECONDS) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        # Without closing our half: then it closes too, with what it has not sent yet lost (`facts/rtpengine-redis.md` 9).
        connection.sendall(f"{command}\n".encode())
        return connection.makefile("rb").read().decode(errors="replace")


def list_calls(manifest: Manifest) -> set[str]:
    """List the calls in progress. Raises OSError where rtpengine does not tell all of them."""
    return {name for name, ended in list_known(manifest).items() if not ended and not name.startswith(PROBE)}


def list_known(manifest: Manifest) -> dict[str, bool]:
    """List all calls that rtpengine knows, and whether they have ended. Raises OSError where it does not tell all of them."""
    for _ in range(LISTINGS):
        total = count_calls(manifest)
        found = CALL.findall(ask_rtpengine(manifest, "list sessions all"))
        # Calls begin and end meanwhile.
        if len(found) >= min(total, count_calls(manifest)):
            return {name: mark == "yes" for name, mark in found}
    raise OSError(f"it lists {len(found)} of {total}")


def count_calls(manifest: Manifest) -> int:
    """Return how many calls rtpengine says it has, ended ones that it still remembers too."""
    said = ask_rtpengine(manifest, "list numsessions")
    found = TOTAL.search(said)
    if not found:
        raise OSError(f"it does not say how many: {said.strip()[:100]!r}")
    return int(found[1])


def list_kept(manifest: Manifest) -> set[str]:
    """List the calls that are in Redis; none where it does not answer."""
    try:
        keys = redis.ask(LOOPBACK, manifest["ports"]["redis_calls"], "KEYS", "*")
    except OSError:
        return set()
    return {str(key) for key in keys} if isinstance(keys, list) else set()


def list_lost(manifest: Manifest) -> set[str]:
    """List the calls that would end with rtpengine."""
    if lost := list_calls(manifest) - list_kept(manifest):
        time.sleep(WRITING_SECONDS)
        lost &= list_calls(manifest) - list_kept(manifest)
    return lost


def rewrite(manifest: Manifest) -> set[str]:
    """Have rtpengine write all its calls into Redis, which it does by itself only when something changes in one
    (`facts/rtpengine-redis.md` 3); return those that would still end with it."""
    ask_rtpengine(manifest, "active")
    return list_lost(manifest)


def list_browsers(manifest: Manifest) -> set[str]:
    """List the calls of browsers, which end with rtpengine although Redis has them."""
    return list_marked(manifest, BROWSER)


def list_marked(manifest: Manifest, mark: str) -> set[str]:
    """List the calls in progress whose value in Redis has that in it."""
    keys = sorted(list_calls(manifest) & list_kept(manifest))
    values = redis.ask_all(LOOPBACK, manifest["ports"]["redis_calls"], [("GET", key) for key in keys]) if keys else []
    return {key for key, value in zip(keys, values, strict=True) if mark in str(value)}


def describe_obstacle(manifest: Manifest) -> str:
    """Say what keeps rtpengine from being restarted; "" = all its calls would come back."""
    try:
        lost = rewrite(manifest)
        browsers = list_browsers(manifest)
    except ConnectionRefusedError:
        return ""  # it does not run
    except OSError as error:
        return f"it does not say which calls it has ({error})"
    return describe(lost, browsers)


def describe(lost: set[str], browsers: set[str]) -> str:
    """Say which calls in progress would end with rtpengine; "" = none."""
    parts = [f"{len(lost)} that Redis does not have"] * bool(lost) + [f"{len(browsers)} of browsers"] * bool(browsers)
    return f"calls in progress would end: {' and '.join(parts)}" if parts else ""


def put_off(unit: str) -> None:
    """Remember that a unit is to be restarted."""
    write_private(PUT_OFF / unit, find_invocation(unit))


def list_put_off() -> list[str]:
    """List the units whose restart waits; what has been restarted since for another reason is no longer one."""
    found = []
    for path in sorted(PUT_OFF.iterdir()) if PUT_OFF.is_dir() else ():
        if path.name.endswith(STAGED):
            continue
        was, now = path.read_text(), find_invocation(path.name)
        if was and now and was != now:
            path.unlink(missing_ok=True)
            continue
        if not was:  # systemd did not answer when it was put off
            write_private(path, now)
        found.append(path.name)
    return found


def find_invocation(unit: str) -> str:
    """Return what systemd calls the present run of a unit; "" where it does not say."""
    return systemctl("show", "-P", "InvocationID", unit).stdout.strip()


def report(manifest: Manifest) -> MachineRow | None:
    """Make a row where calls would end with rtpengine, or its restart waits for their end."""
    waiting = list_put_off()
    if not has_redis(manifest) and not waiting:
        return None
    try:
        why = describe(list_lost(manifest), list_browsers(manifest) if waiting else set())
    except OSError as error:
        if not waiting:
            return None  # the services' own rows say who is away
        why = f"it is unknown which calls would end ({error})"
    if waiting:
        why = (
            f"{' and '.join(waiting)} goes on with what it had until none would end; ./webitel up --disruptive does not wait. "
            f"If it were restarted now, {why or 'none would'}"
        )
    elif why:
        why = f"if rtpengine died now, {why}"
    return {"name": "calls", "healthy": True, "warning": True, "why": why} if why else None


class Keeper:
    """What the watcher does about calls that would not come back."""

    def __init__(self) -> None:
        self.rewritten = self.looked = -REWRITE_SECONDS
        self.stale: dict[str, float] = {}

    def look(self, manifest: Manifest, now: float) -> None:
        """Restart what waited for its calls, and have calls written that a new Redis does not have, or has an old value of."""
        waiting = list_put_off()
        if not has_redis(manifest) and not waiting:
            return
        if "sip_address" in manifest and not sip_address.is_here(manifest["sip_address"]):
            # The other node's calls, which only that one knows.
            self.stale = {}
            return
        try:
            if has_redis(manifest) and answers(manifest):
                self.keep(manifest, now)
            restarts = bool(waiting) and not describe(list_lost(manifest), list_browsers(manifest)) and not rewrite(manifest)
        except OSError as error:
            print(f"rtpengine's calls: {error}", flush=True)
            return
        if restarts:
            print(f"restarting {' and '.join(waiting)}: that waited for calls, and none would end now", flush=True)
            systemctl("restart", "--no-block", *waiting)

    def keep(self, manifest: Manifest, now: float) -> None:
        """Have Redis hold the calls that there are: as they are now, and no others."""
        lost, secret = list_lost(manifest), set[str]()
        if now - self.looked >= REWRITE_SECONDS:
            self.looked = now
            self.sweep(manifest, now)
            secret = list_marked(manifest, SECRET)
        if not (lost or secret) or now - self.rewritten < REWRITE_SECONDS:
            return
        self.rewritten = now
        left = rewrite(manifest)
        if lost:
            print(f"Redis lacked {len(lost)} calls of rtpengine, and lacks {len(left)} now", flush=True)

    def sweep(self, manifest: Manifest, now: float) -> None:
        """Delete in Redis what ended while Redis was not told: at its next start rtpengine would give it the ports of a call that
        goes on, which would then be the one that does not come back (`facts/rtpengine-redis.md` 4)."""
        kept = list_kept(manifest)
        self.stale = {name: self.stale.get(name, now) for name in kept - list_known(manifest).keys()}
        if gone := [name for name, since in self.stale.items() if now - since >= STALE_SECONDS]:
            redis.ask_all(LOOPBACK, manifest["ports"]["redis_calls"], [("DEL", name) for name in gone])
            print(f"Redis had {len(gone)} calls that are over", flush=True)


def answers(manifest: Manifest) -> bool:
    """Tell whether Redis answers."""
    try:
        return redis.ask(LOOPBACK, manifest["ports"]["redis_calls"], "PING") == "PONG"
    except OSError:
        return False
