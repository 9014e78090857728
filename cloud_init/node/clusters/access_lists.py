"""Consul's access lists as its servers keep them: which token may do what.

The leader's node makes them, again and again: what is there already stays, and a Consul that has lost its data gets the same
tokens with the same rights back. So nothing of this has to be saved, or restored by a person.
"""

import hashlib
import json
from typing import Any

from ..ask import tokens
from ..ask.consul import ConsulError, RefusedError, call, list_keys
from ..manifest import Manifest

NOTES = "webitel/access/"
"""By node, which tokens it uses: digests by name, as JSON."""
OURS = "webitel: "
"""How the description of each of our tokens begins."""
EVERYTHING = "global-management"
"""Consul's own policy."""
IN_FORCE = "1"
"""What an agent tells the others of access lists (`acls`) that are not those of before Consul 1.4; newer ones tell nothing."""
ALIVE, LEFT = 1, 3
"""Status of a member that is there, and of one that will not come back by itself."""

READING = 'agent_prefix "" { policy = "read" }\nnode_prefix "" { policy = "read" }\nservice_prefix "" { policy = "read" }\n'
DATABASE_RULES = (
    READING
    + 'key_prefix "service/webitel/" { policy = "write" }\nsession_prefix "" { policy = "write" }\n'
    + 'service "webitel" { policy = "write" }\n'
)
"""Patroni: its cluster's keys, its session, its entry."""
PROGRAM_RULES = (
    'agent_prefix "" { policy = "write" }\nnode_prefix "" { policy = "read" }\nservice_prefix "" { policy = "write" }\n'
    'key_prefix "webitel/" { policy = "write" }\nkey_prefix "service/webitel/" { policy = "read" }\n'
    'session_prefix "" { policy = "write" }\noperator = "read"\n'
)
"""This program, on every node."""


def make_agent_rules(node: str) -> str:
    """Return what a node's agent may do, and with it every program on the node that has no token of its own: register services of
    this node, and read who else is there."""
    return (
        'agent_prefix "" { policy = "read" }\nnode_prefix "" { policy = "read" }\nservice_prefix "" { policy = "write" }\n'
        f'node "{node}" {{ policy = "write" }}\n'
    )


def is_server(manifest: Manifest) -> bool:
    """Tell whether this node has one of Consul's servers."""
    return any(service["name"] == "consul-server" for service in manifest["services"])


def leads(manifest: Manifest) -> bool:
    """Tell whether this node's server is the leader."""
    return str(call("GET", "/v1/status/leader") or "").rpartition(":")[0] == manifest["address"]


def has_caught_up() -> bool:
    """Tell whether this node's agent, restarted, has its access lists in force and a server has taken in all that was agreed on.

    A server begins with the access lists of before 1.4 and with what it had written down itself. One that becomes the leader so,
    because the next one restarts, knows no token and refuses everybody for a moment. Autopilot, which looks every two seconds,
    may not have noticed a restart at all.
    """
    told = call("GET", "/v1/agent/self")
    raft = (told.get("Stats") or {}).get("raft")
    in_force = told["Member"]["Tags"].get("acls", IN_FORCE) == IN_FORCE
    return in_force and (not raft or int(raft["applied_index"]) >= int(raft["commit_index"]) > 0)


def list_nodes(token: str | None = None) -> set[str]:
    """List the nodes that Consul knows, those that are down too. Gossip is sooner, the catalogue outlasts a restart."""
    members = call("GET", "/v1/agent/members", token=token) or []
    nodes = call("GET", "/v1/catalog/nodes", token=token) or []
    left = {member["Name"] for member in members if member["Status"] == LEFT}
    return ({member["Name"] for member in members} | {node["Node"] for node in nodes}) - left


def list_down() -> set[str]:
    """List the nodes that Consul knows and does not see."""
    members = call("GET", "/v1/agent/members") or []
    return list_nodes() - {member["Name"] for member in members if member["Status"] == ALIVE}


def find_token(token: str) -> dict[str, Any]:
    """Return what Consul knows of a token, of the agent's with ""; {} where it does not know it."""
    try:
        found: dict[str, Any] = call("GET", "/v1/acl/token/self", token=token) or {}
    except RefusedError:
        return {}
    # To nobody newer versions answer as somebody.
    return found if found.get("SecretID") not in (None, "anonymous") else {}


def digest(token: str) -> str:
    """Return what a node says of a token that it uses, of no use to who reads it."""
    return tokens.derive(token, "note")


def list_behind(nodes: set[str], given: dict[str, str]) -> list[str]:
    """List the nodes that do not use the deployment's present tokens yet, as far as this node knows these."""
    notes = {name: json.loads(row["Value"]) for name, row in list_keys(NOTES).items()}
    key = tokens.read_agent_key()

    def is_current(node: str) -> bool:
        wanted = given | {tokens.AGENT: tokens.derive(key, node)}
        note = notes.get(node, {})
        present = {name: digest(wanted[name]) for name in note if name in wanted}
        return {tokens.PROGRAM, tokens.AGENT} <= present.keys() and all(note[name] == said for name, said in present.items())

    return sorted(node for node in nodes if not is_current(node))


def provide(manifest: Manifest) -> None:
    """Make the policies and tokens that Consul lacks, and delete those that no node uses any more, where this node leads.

    Raises ConsulError while Consul cannot do so.
    """
    given = tokens.list_given(manifest["node"])
    if tokens.MANAGEMENT not in given or not leads(manifest):
        return
    management = given[tokens.MANAGEMENT]
    if not find_token(management):
        before = tokens.list_in_use().get(tokens.MANAGEMENT, "")
        if not before or not find_token(before):
            return  # Consul makes the first one itself, soon after it has a leader
        make_token(before, management, f"{OURS}management", EVERYTHING)
    nodes = list_nodes(management)
    rules = {f"{OURS}Patroni": DATABASE_RULES, f"{OURS}node program": PROGRAM_RULES}
    secrets = {f"{OURS}Patroni": given[tokens.DATABASE], f"{OURS}node program": given[tokens.PROGRAM]}
    for node in nodes:
        rules[f"{OURS}agent {node}"] = make_agent_rules(node)
        secrets[f"{OURS}agent {node}"] = tokens.derive(tokens.read_agent_key(), node)
    there = {token["AccessorID"]: token for token in call("GET", "/v1/acl/tokens", token=management)}
    wanted = {tokens.derive(secret, "accessor"): who for who, secret in secrets.items()}
    policies = {who: name_policy(who, text) for who, text in rules.items()}
    lacking = {
        accessor: who
        for accessor, who in wanted.items()
        if [policy["Name"] for policy in there.get(accessor, {}).get("Policies") or []] != [policies[who]]
    }
    if lacking:
        known = {policy["Name"] for policy in call("GET", "/v1/acl/policies", token=management)}
        for accessor, who in lacking.items():
            if policies[who] not in known:
                wish = {"Name": policies[who], "Description": who, "Rules": rules[who]}
                call("PUT", "/v1/acl/policy", json.dumps(wish), token=management)
            make_token(management, secrets[who], who, policies[who], accessor if accessor in there else "")
    forget_stale(there, wanted, nodes, given)


def forget_stale(there: dict[str, Any], wanted: dict[str, str], nodes: set[str], given: dict[str, str]) -> None:
    """Delete tokens that were replaced, once every node uses its present ones."""
    management = given[tokens.MANAGEMENT]
    whose = set(wanted.values())
    own = find_token(management)["AccessorID"]
    stale = [
        accessor
        for accessor, token in there.items()
        if (token["Description"] in whose and accessor not in wanted)
        or (accessor != own and EVERYTHING in [policy["Name"] for policy in token.get("Policies") or []])
    ]
    if stale and not list_behind(nodes, given):
        for accessor in stale:
            call("DELETE", f"/v1/acl/token/{accessor}", token=management)
        print(f"Consul forgets {len(stale)} tokens that were replaced", flush=True)


def name_policy(who: str, rules: str) -> str:
    """Name a policy by what it says: another text is another policy."""
    return f"webitel-{who.removeprefix(OURS).replace(' ', '-')}-{hashlib.sha256(rules.encode()).hexdigest()[:8]}"


def make_token(management: str, secret: str, who: str, policy: str, existing: str = "") -> None:
    """Make a token with that secret, or give the existing one that policy. Another server's node may have been faster."""
    accessor = tokens.derive(secret, "accessor")
    wish = {"AccessorID": accessor, "SecretID": secret, "Description": who, "Policies": [{"Name": policy}]}
    path = f"/v1/acl/token/{existing}" if existing else "/v1/acl/token"
    try:
        call("PUT", path, json.dumps(wish), token=management)
    except ConsulError:
        if not find_token(secret):
            raise
