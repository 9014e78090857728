"""Whether this host's firewall lets local machines out: Docker, ufw and firewalld drop what they do not know."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

KNOWN_BY = "(Docker, ufw and firewalld set it so)"
WAYS = {"iptables": ("-i", "-o"), "nft": ("iifname", "oifname")}


def find_forwarding_problem(bridge: str) -> str | None:
    """Tells why machines behind the bridge may reach nothing, and what to do; None too where this user may not read rules."""
    return find_iptables_problem(bridge) or find_nftables_problem(bridge)


def find_iptables_problem(bridge: str) -> str | None:
    """Tells whether the chain of iptables drops what is forwarded."""
    said = ask("iptables", "-S", "FORWARD")
    if "-P FORWARD DROP" not in said or f" {bridge} " in said:
        return None
    rules = " && ".join(f"iptables -I FORWARD {way} {bridge} -j ACCEPT" for way in WAYS["iptables"])
    return f"this host's firewall drops forwarded packets {KNOWN_BY}; let local machines out with: {rules}"


def find_nftables_problem(bridge: str) -> str | None:
    """Tells which chain of nftables drops what the bridge's machines send, other than the one that iptables writes."""
    try:
        ruleset = json.loads(ask("nft", "-j", "list", "ruleset"))["nftables"]
    except (ValueError, KeyError):
        return None
    rules = [entry["rule"] for entry in ruleset if "rule" in entry]
    for chain in (entry["chain"] for entry in ruleset if "chain" in entry):
        if chain.get("hook") != "forward" or chain["family"] not in ("ip", "inet") or is_known(chain):
            continue
        place = (chain["family"], chain["table"], chain["name"])
        own = [rule["expr"] for rule in rules if (rule["family"], rule["table"], rule["chain"]) == place]
        if verdict := judge_chain(own, bridge, chain.get("policy", "accept")):
            name = " ".join(place)
            inserts = " && ".join(f"nft insert rule {name} {way} {bridge} accept" for way in WAYS["nft"])
            return f"this host's firewall {verdict} in {name}; let local machines out with: {inserts}"
    return None


def ask(program: str, *arguments: str) -> str:
    """Return what a program lists; "" where it is not there or refuses."""
    if shutil.which(program) is None:
        return ""
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False).stdout


def is_known(chain: Mapping[str, Any]) -> bool:
    """Return whether a chain is not to be judged here: Incus' own, those of local machines, and what iptables shows."""
    return chain["table"].startswith(("incus", "webitel")) or (chain["table"], chain["name"]) == ("filter", "FORWARD")


def judge_chain(rules: Iterable[list[dict[str, Any]]], bridge: str, policy: str) -> str:
    """Say what a chain does to packets that come from the bridge; "" where it lets them pass, as far as can be told: a jump
    and a rule for some packets only are passed over."""
    for rule in rules:
        ends = {word for part in rule for word in part} & {"accept", "drop", "reject"}
        asked = [part["match"] for part in rule if "match" in part]
        if ends and all(is_from(match, bridge) for match in asked):
            return "" if "accept" in ends else "drops what local machines send"
    return f"drops forwarded packets {KNOWN_BY}" if policy == "drop" else ""


def is_from(match: Mapping[str, Any], bridge: str) -> bool:
    """Return whether a condition of a rule holds for every packet from the bridge."""
    left, right = match["left"], match["right"]
    if not isinstance(left, dict) or left.get("meta", {}).get("key") not in ("iif", "iifname"):
        return False
    names = right.get("set", []) if isinstance(right, dict) else [right]
    return any(fnmatchcase(bridge, str(name)) for name in names) is (match["op"] != "!=")
