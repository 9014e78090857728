"""Digest authentication: credentials read, nonces made and checked, answers computed."""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from typing import TYPE_CHECKING

from .message import Message

if TYPE_CHECKING:
    from .core import Core

FIELDS = re.compile(r'(\w+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^,\s]*))')


def read_fields(text: str) -> dict[str, str]:
    """Name -> value of a challenge or an answer to one."""
    return {found[1].lower(): found[2] if found[2] is not None else found[3] for found in FIELDS.finditer(text)}


def read_credentials(message: Message, proxy: bool | None = None) -> dict[str, str]:
    """The request's credentials: Proxy-Authorization, or Authorization; empty when there are none."""
    both = ("proxy-authorization", "authorization")
    names = both if proxy is None else both[:1] if proxy else both[1:]
    for name in names:
        for header in message.headers:
            if header.key == name and header.value[:7].lower() == "digest ":
                return read_fields(header.value[7:])
    return {}


def md5(*parts: str) -> str:
    """The parts with colons between them."""
    return hashlib.md5(":".join(parts).encode("latin-1", "replace"), usedforsecurity=False).hexdigest()


def compute(fields: dict[str, str], method: str, ha1: str, body: str = "") -> str:
    """The answer that a password's digest gives."""
    quality = fields.get("qop", "")
    second = md5(method, fields.get("uri", ""), md5(body)) if quality == "auth-int" else md5(method, fields.get("uri", ""))
    if not quality:
        return md5(ha1, fields.get("nonce", ""), second)
    return md5(ha1, fields.get("nonce", ""), fields.get("nc", ""), fields.get("cnonce", ""), quality, second)


class Nonces:
    """Nonces carry their end, and each is good once unless its check is off."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.secret = secrets.token_bytes(16)
        self.used: dict[str, float] = {}
        self.lock = threading.Lock()

    def make(self) -> str:
        """A fresh one."""
        ends = int(time.time()) + self.core.config.number("auth", "nonce_expire")
        token = f"{ends:08x}{secrets.token_hex(4)}"
        return token + hashlib.md5(token.encode() + self.secret, usedforsecurity=False).hexdigest()

    def is_stale(self, nonce: str) -> bool:
        """Whether it is too old, was used before or is not ours."""
        token = nonce[:16]
        mine = hashlib.md5(token.encode("latin-1", "replace") + self.secret, usedforsecurity=False).hexdigest()
        if len(nonce) != 48 or nonce[16:] != mine or int(token[:8], 16) < time.time():
            return True
        if self.core.config.number("auth", "disable_nonce_check"):
            return False
        now = time.time()
        with self.lock:
            for old in [old for old, end in self.used.items() if end < now]:
                del self.used[old]
            if nonce in self.used:
                return True
            self.used[nonce] = int(token[:8], 16)
        return False


def challenge(core: Core, realm: str, quality: str, stale: bool) -> str:
    """What a challenge's header says."""
    text = f'Digest realm="{realm}", nonce="{core.nonces.make()}"'
    if quality:
        text += f', qop="{quality}"'
    return text + (", stale=true" if stale else "")


def answer_challenge(said: str, method: str, uri: str, user: str, password: str, body: str = "") -> str:
    """The credentials for a challenge, as a client gives them."""
    words = read_fields(said.partition(" ")[2])
    fields = {"nonce": words.get("nonce", ""), "uri": uri}
    if "auth" in words.get("qop", ""):
        fields |= {"qop": "auth", "nc": "00000001", "cnonce": secrets.token_hex(8)}
    response = compute(fields, method, md5(user, words.get("realm", ""), password), body)
    text = f'Digest username="{user}", realm="{words.get("realm", "")}", nonce="{fields["nonce"]}", uri="{uri}"'
    if "qop" in fields:
        text += f', qop=auth, nc=00000001, cnonce="{fields["cnonce"]}"'
    if "opaque" in words:
        text += f', opaque="{words["opaque"]}"'
    return text + f', response="{response}", algorithm=MD5'
