"""Checks of who may log in by SSH: a key, a name or an authority that is none would lock out, or let in somebody else."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator

from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem

MAX_SHOWN_KEY_LENGTH = 40
"""Characters of a public key in a message."""

KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
ACCOUNT = re.compile(r"[a-z][-a-z0-9_]{0,30}")
"""What Debian's `adduser` takes as a name."""

PRINCIPAL = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.@:+]*")
PROGRAMS = """
root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody messagebus sshd polkitd
postgres rabbitmq consul haproxy nginx grafana opensips freeswitch rtpengine redis fail2ban sudo adm staff users
"""
"""Names that a node has for its programs and groups. What is missing here is refused by the node itself."""


def check_operator_keys(draft: Draft) -> Iterator[Problem]:
    """Find SSH public keys that are none."""
    for key in draft.settings.operator_keys:
        yield from find_wrong_key("operator_keys", key, "you@office")


def check_operator_accounts(draft: Draft) -> Iterator[Problem]:
    """Find personal accounts that cannot be, and keys of theirs that are none."""
    for name, keys in draft.settings.operator_accounts.items():
        setting = f"operator_accounts.{name}"
        taken = name in PROGRAMS.split() or name.startswith(("systemd", "webitel", "_"))
        if not ACCOUNT.fullmatch(name):
            yield setting_problem(setting, name, "no name of an account; use small letters, digits and hyphens, such as anna-b")
        elif name == draft.facts.login_user:
            yield setting_problem(setting, name, "the deployment's own account; its keys are webitel:operator_keys")
        elif taken:
            yield setting_problem(setting, name, "a name of the system; use the person's, such as anna")
        if not keys and not draft.settings.ssh_authorities:
            yield setting_problem(
                setting, "empty", "nobody could log in by it; name a key such as ssh-ed25519 AAAA... you@office, or remove it"
            )
        for key in keys:
            yield from find_wrong_key(setting, key, f"{name}@office")


def check_ssh_authorities(draft: Draft) -> Iterator[Problem]:
    """Find authorities of SSH certificates that are none, and names in certificates that no file can hold."""
    settings = draft.settings
    for key in settings.ssh_authorities:
        yield from find_wrong_key("ssh_authorities", key, "authority@office")
    for name in settings.ssh_principals:
        if not PRINCIPAL.fullmatch(name):
            yield setting_problem("ssh_principals", name, "no name of a certificate; use one without spaces, such as operators")
    if settings.ssh_principals and not settings.ssh_authorities:
        yield setting_problem(
            "ssh_principals",
            ", ".join(settings.ssh_principals),
            "without webitel:ssh_authorities no certificate is accepted; name the authority's public key, "
            "such as ssh-ed25519 AAAA... authority@office, or remove the setting",
        )


def find_wrong_key(setting: str, key: str, owner: str) -> Iterator[Problem]:
    """Find out whether a line is no SSH public key; `owner` stands in the correct example."""
    if why := explain_key(key):
        shown = " ".join(key.split())
        shown = shown if len(shown) <= MAX_SHOWN_KEY_LENGTH else f"{shown[: MAX_SHOWN_KEY_LENGTH - 3]}..."
        yield setting_problem(setting, shown, f"{why}; use a line such as ssh-ed25519 AAAA... {owner}")


def explain_key(line: str) -> str:
    """Say why a line is no SSH public key; "" = it is one."""
    if "PRIVATE KEY" in line:
        return "a private key: never give it away; use the line in the file that ends in .pub"
    if "\n" in line or "\r" in line:
        return "more than one line, perhaps several keys; make each key an entry of its own in the list"
    if not line.replace("\t", " ").isprintable():
        return "it has invisible characters"
    kind, rest = (*line.split(None, 1), "", "")[:2]
    if "-cert-v01@" in kind:
        return "a certificate: webitel:ssh_authorities takes the public key of the authority that signed it"
    if kind not in KEY_TYPES:
        return f"not a public key; those begin with {', '.join(KEY_TYPES[:3])} ..."
    try:
        blob = base64.b64decode((rest.split() or [""])[0], validate=True)
        fields = split_fields(blob)
    except (binascii.Error, ValueError, struct.error):
        return "the second word is not a key in base64, perhaps it was cut off"
    if fields and fields[0] != kind.encode():
        return f"the key inside is not of type {kind}"
    return "" if len(fields) > 1 else "the key is cut off"


def split_fields(blob: bytes) -> list[bytes]:
    """Split a key into its fields, each behind its length (RFC 4253, 6.6). Raises ValueError or struct.error where it is cut."""
    fields = []
    while blob:
        (length,) = struct.unpack_from(">I", blob)
        if len(blob) < 4 + length:
            raise ValueError("cut")
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return fields
