"""Reading the storage key as far as the real services do at their start."""

import base64
import binascii
import re
from pathlib import Path

RSA_OID = bytes.fromhex("2a864886f70d010101")


class KeyProblem(Exception):
    """`kind` is `missing`, `not PEM` or `not RSA`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def check_key(path: Path) -> None:
    """Raises KeyProblem; PKCS#1 and PKCS#8 are both taken (`facts/observed.md` 1), although only PKCS#1 is safe."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyProblem("missing", f"open {path}: {error}") from error
    found = re.search(r"-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----", text)
    try:
        content = base64.b64decode("".join(found[2].split()), validate=True) if found else b""
    except binascii.Error:
        content = b""
    if not found or not content:
        raise KeyProblem("not PEM", f"decode certificate {path}")
    if found[1] != "RSA PRIVATE KEY" and RSA_OID not in content[:40]:
        raise KeyProblem("not RSA", f"panic: interface conversion: {path} is {found[1]}, not *rsa.PrivateKey")
