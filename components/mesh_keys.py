"""Keys of nodes in the mesh, made of one secret of the deployment: every node's own, also where it has another machine."""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519

# RFC 7748, 5: what is cleared and set in the numbers that are keys, in the first byte and the last.
_FIRST, _LAST, _SET = 0xF8, 0x7F, 0x40


def private_key(seed: str, node: str) -> str:
    """Return a node's private key, as wg(8) writes it."""
    return base64.b64encode(_make(seed, node)).decode()


def public_key(seed: str, node: str) -> str:
    """Return what its peers know it by, as wg(8) writes it."""
    public = x25519.X25519PrivateKey.from_private_bytes(_make(seed, node)).public_key()
    return base64.b64encode(public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)).decode()


def _make(seed: str, node: str) -> bytes:
    key = bytearray(hmac.digest(seed.encode(), f"mesh {node}".encode(), hashlib.sha256))
    key[0] &= _FIRST
    key[-1] = key[-1] & _LAST | _SET
    return bytes(key)
