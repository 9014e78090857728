"""Host keys of nodes, made of one secret of the deployment: whoever has it knows every one again, whatever was interrupted.

A new machine boots with a throw-away key, which its user data holds, so that the first contact can tell it from anybody else. It
is given its own key over that first connection, and from then on the throw-away one opens nothing. The own key belongs to the
machine: another machine of the same node has another one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import textwrap
from typing import NamedTuple

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

_KIND = b"ssh-ed25519"
_BLOCK_BYTES = 8
_LINE_LENGTH = 70


class HostKey(NamedTuple):
    """A key in the format of OpenSSH's files, and the line that others know it by."""

    private: str
    public: str


def throw_away_key(seed: str, node: str) -> HostKey:
    """Return the key with which a machine of this node boots."""
    return _make(seed, f"boot {node}")


def own_key(seed: str, machine_id: str) -> HostKey:
    """Return the key that this machine has from the first contact on."""
    return _make(seed, f"machine {machine_id}")


def _make(seed: str, use: str) -> HostKey:
    """Make the same key of the same words, to the last byte: user data may not change by itself."""
    private = hmac.digest(seed.encode(), use.encode(), hashlib.sha256)
    key = ed25519.Ed25519PrivateKey.from_private_bytes(private).public_key()
    public = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    # The format is OpenSSH's PROTOCOL.key. Its two numbers are random there, and need only be equal.
    blob = _field(_KIND) + _field(public)
    inner = hashlib.sha256(public).digest()[:4] * 2 + blob + _field(private + public) + _field(b"")
    inner += bytes(range(1, 1 + -len(inner) % _BLOCK_BYTES))
    whole = b"openssh-key-v1\0" + _field(b"none") * 2 + _field(b"") + (1).to_bytes(4) + _field(blob) + _field(inner)
    lines = textwrap.wrap(base64.b64encode(whole).decode(), _LINE_LENGTH)
    text = "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----", ""])
    return HostKey(text, f"{_KIND.decode()} {base64.b64encode(blob).decode()}")


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data
