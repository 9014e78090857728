"""The recovery file: all secrets of a deployment, enciphered so that it opens without this project."""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from cli.console import Failure, is_terminal

ROUNDS = 600_000
"""Of PBKDF2 with SHA-256, what OWASP recommends since 2023."""
DECRYPT = f"openssl enc -d -aes-256-cbc -md sha256 -pbkdf2 -iter {ROUNDS} -a -in"
PASSPHRASE = "WEBITEL_RECOVERY_PASSPHRASE"
"""The variable that has a recovery file's passphrase, where nobody is asked for it."""
_SALTED = b"Salted__"


@dataclass(frozen=True)
class Recovery:
    """What a recovery file holds: the deployment, its secrets, and where its backups are (`url`, `region`, `authority`; empty
    where it has none, or an earlier version wrote the file)."""

    stack: str
    secrets: Mapping[str, str] = field(repr=False)
    backup: Mapping[str, str]


def compose(stack: str, secrets: Mapping[str, str], backup: Mapping[str, Any], passphrase: str) -> bytes:
    """Compose a recovery file."""
    text = json.dumps({"stack": stack, "secrets": dict(secrets), "backup": dict(backup)}, indent=1)
    return encrypt(text.encode(), passphrase)


def read(path: Path) -> Recovery:
    """Read a recovery file with the passphrase of its variable, or one that is asked for. A Failure where it does not open."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Failure(f"--recovery {path}: {error.strerror}; it is what ./webitel export-secrets FILE wrote") from error
    passphrase = os.environ.get(PASSPHRASE, "")
    if not passphrase:
        if not is_terminal():
            raise Failure(f"the recovery file's passphrase is needed: set {PASSPHRASE}")
        passphrase = typer.prompt("Passphrase of the recovery file", hide_input=True)
    wrong = f"--recovery {path}: not a recovery file, or its passphrase is another one. To try: {DECRYPT} {path}"
    try:
        found = json.loads(decrypt(content, passphrase))
        return Recovery(str(found["stack"]), dict(found["secrets"]), dict(found.get("backup", {})))
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(wrong) from error


def encrypt(data: bytes, passphrase: str) -> bytes:
    """Encrypt with AES-256-CBC as `openssl enc -a` does, so that the file opens without this project."""
    from cryptography.hazmat.primitives import padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    salt = os.urandom(8)
    key, start = _derive(salt, passphrase)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES256(key), modes.CBC(start)).encryptor()
    padded = padder.update(data) + padder.finalize()
    return base64.encodebytes(_SALTED + salt + encryptor.update(padded) + encryptor.finalize())


def decrypt(content: bytes, passphrase: str) -> bytes:
    """Decrypt what `encrypt` made. Raises ValueError where it is something else, or the passphrase another one."""
    from cryptography.hazmat.primitives import padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    try:
        data = base64.b64decode(content)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if not data.startswith(_SALTED) or len(data) % 16:
        raise ValueError("not what openssl enc writes")
    key, start = _derive(data[8:16], passphrase)
    decryptor = Cipher(algorithms.AES256(key), modes.CBC(start)).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(data[16:]) + decryptor.finalize()) + unpadder.finalize()


def _derive(salt: bytes, passphrase: str) -> tuple[bytes, bytes]:
    """Derive the key and the first block from a passphrase."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    derived = PBKDF2HMAC(hashes.SHA256(), 48, salt, ROUNDS).derive(passphrase.encode())
    return derived[:32], derived[32:]
