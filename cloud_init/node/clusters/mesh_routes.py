"""What leads packets for other nodes into the mesh, and what keeps them out: rules and a table of routes of its own."""

import json
import re
from collections.abc import Iterable

from ..manifest import MeshEntry
from ..system import ApplyError, run

LINK = "webitel0"
TABLE = MARK = 51820
FIRST_RULE, RULE, LAST_RULE = 5180, 5198, 5199
"""Preferences of the rules: what is apart jumps from the first ones over `RULE`, which leads into the table, to the last one."""
UNREACHABLE, REFUSED = "unreachable", 4_000_000_000
"""Type and metric of routes that nobody takes while WireGuard is there: without it nothing goes out in the clear."""
OWN = "proto kernel"
"""Of rules and routes, as of the kernel's own: any others systemd-networkd takes away when it starts anew."""
NO_TABLE = "FIB table does not exist"
"""What the kernel says where nothing was ever in it."""
Rule = tuple[int, str]
"""Preference and text of a rule, as ip-rule(8) takes it."""


def ask(*command: str, text: str | None = None) -> str:
    """Run a program; an ApplyError says what it said where it fails."""
    done = run(list(command), 20, text)
    if done.returncode:
        raise ApplyError(f"{' '.join(command[:3])}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def read_size() -> int:
    """Return the size of the interface's packets, 0 where it is not up."""
    found = re.search(r" mtu (\d+)", run(["ip", "-o", "link", "show", "dev", LINK, "up"]).stdout)
    return int(found[1]) if found else 0


def lead(address: str, mesh: MeshEntry, met: Iterable[str]) -> None:
    """Lead packets for those that have answered, and no others, into the mesh."""
    if not mesh["sends"]:
        lead_nowhere()
        return
    wanted = {one["address"] for one in mesh["peers"] if one["public"] in met}
    found, is_up = list_routes(), bool(read_size())
    table = ("table", str(TABLE))
    own = OWN.split()
    for peer in sorted(wanted):
        has = found.get(peer, set())
        if LINK not in has and is_up:
            ask("ip", "route", "replace", f"{peer}/32", "dev", LINK, "src", address, *table, *own)
        if UNREACHABLE not in has:
            ask("ip", "route", "replace", UNREACHABLE, f"{peer}/32", *table, "metric", str(REFUSED), *own)
    for peer in found.keys() - wanted:
        ask("ip", "route", "flush", *table, "exact", f"{peer}/32")
    set_rules(list_rules(mesh))


def list_routes() -> dict[str, set[str]]:
    """Return the table's routes: by address the interfaces, or `UNREACHABLE`."""
    shown = run(["ip", "-json", "route", "show", "table", str(TABLE)])
    if NO_TABLE in shown.stderr:
        return {}
    found: dict[str, set[str]] = {}
    for route in json.loads(shown.stdout or "[]"):
        found.setdefault(route["dst"].partition("/")[0], set()).add(route.get("type") or route["dev"])
    return found


def list_rules(mesh: MeshEntry) -> list[Rule]:
    """List the rules, those first that keep packets out."""
    apart = [f"ipproto {one['protocol']} {way} {one['ports']}" for one in mesh["apart"] for way in ("dport", "sport")]
    jumps = [(FIRST_RULE + place, f"{words} goto {LAST_RULE}") for place, words in enumerate(apart)]
    rules = [(LAST_RULE, "nop"), *jumps, (RULE, f"not fwmark {MARK:#x} lookup {TABLE}")]
    return [(preference, f"{text} {OWN}") for preference, text in rules]


def find_rules() -> list[Rule]:
    """List what is there of them."""
    shown = re.findall(r"^(\d+):\s+(.*?)\s*$", ask("ip", "-d", "-4", "rule", "show"), re.MULTILINE)
    told = [(int(preference), re.sub(r"\s+", " ", text.replace("from all", ""))) for preference, text in shown]
    return [(preference, text.strip()) for preference, text in told if FIRST_RULE <= preference <= LAST_RULE]


def set_rules(wanted: list[Rule]) -> None:
    """Have these rules and none other of ours: what is new comes before what goes."""
    found = find_rules()
    for preference, text in [one for one in wanted if one not in found]:
        ask("ip", "-4", "rule", "add", "preference", str(preference), *text.split())
    for preference, text in [one for one in found if one not in wanted]:
        ask("ip", "-4", "rule", "delete", "preference", str(preference), *text.split())


def lead_nowhere() -> None:
    """Have everything go as without a mesh."""
    for preference, text in sorted(find_rules(), key=lambda one: one[0] != RULE):
        ask("ip", "-4", "rule", "delete", "preference", str(preference), *text.split())
    if list_routes():
        ask("ip", "route", "flush", "table", str(TABLE))
