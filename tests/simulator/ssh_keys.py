"""Public keys as the clouds take them (`facts/clouds.md`)."""

from __future__ import annotations

import base64
import binascii
import hashlib

from tests.simulator.world import Refused


def fingerprint(public_key: str) -> str:
    """The MD5 fingerprint of an OpenSSH public key; refused where it is none."""
    kind, _, rest = public_key.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
    except binascii.Error:
        blob = b""
    if kind not in ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256") or kind.encode() not in blob:
        raise Refused(f"publicKey: no OpenSSH public key: {public_key[:40]!r}")
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))
