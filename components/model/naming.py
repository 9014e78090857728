"""Names of nodes and networks, valid on the strictest cloud."""

from __future__ import annotations

import hashlib
import re

MAX_NAME_LENGTH = 63
"""Google's names and host name labels (`facts/clouds.md` 2.3, 5.3)."""

LONGEST_SUFFIX = "-recordings"
"""The longest suffix of ours, of a node's disk."""

MOUNT_ROOT = "/var/lib/webitel"
"""The folder of a node with the mount points of its data disks."""

SIP = "sip"
"""What the public address of SIP that a cloud moves is called, among those of nodes and as a resource."""

NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""RFC 1035, lower case."""


def node_name(stack: str, role: str, n: int) -> str:
    """Return `<stack>-<role>-<n>`, n from 1."""
    return f"{stack}-{role}-{n}"


def is_node_key(name: str) -> bool:
    """Return whether a name is a node's inside its deployment, `data-1`, and not that of a part of it, `data-1-database`."""
    return re.fullmatch(r"[a-z]+-[1-9]\d*", name) is not None


def disk_name(node: str, purpose: str) -> str:
    """Return the name of a node's data disk, from the node's full name."""
    return f"{node}-{purpose}"


def bridge_name(stack: str, prefix: str = "w") -> str:
    """Return a name of at most 15 characters for a network interface of the host, always the same; `prefix` is a letter."""
    return f"{prefix}-{stack[:8].strip('-')}-{hashlib.sha256(stack.encode()).hexdigest()[:4]}"


def mac_address(prefix: str, stack: str, key: str) -> str:
    """Return the MAC address of a node, always the same, behind a hypervisor's own digits such as `BC:24:11` or `00:50:56:3`."""
    own = prefix.replace(":", "")
    digits = own + hashlib.sha256(f"{stack}/{key}".encode()).hexdigest()[: 12 - len(own)].upper()
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2))


def explain_name(name: str) -> str:
    """Return what is wrong with a node's name as a resource and host name; "" = nothing."""
    if not NAME.fullmatch(name):
        return "needs lower case letters, digits and hyphens, a letter first and no hyphen last"
    if len(name) + len(LONGEST_SUFFIX) > MAX_NAME_LENGTH:
        return f"is {len(name) + len(LONGEST_SUFFIX) - MAX_NAME_LENGTH} characters too long for {name}{LONGEST_SUFFIX}"
    return ""
