"""The public certificate as this node has it: what was had, whether it is shown, and whether it is due."""

import datetime
import hashlib
import json
import pathlib
import ssl
from typing import TypedDict

from ..manifest import CERTIFICATE, OrderEntry
from ..system import run

FOLDER = pathlib.Path("/var/lib/webitel/acme")
MEMORY = FOLDER / "memory.json"
SHOWN = pathlib.Path(CERTIFICATE)

DUE_SHARE = 1 / 3
"""What is left of its time when a certificate is ordered anew: a month of 90 days, two days of six."""


class Memory(TypedDict):
    """What the last look left behind: digest, names and issuer of the certificate that was taken up, and what went wrong."""

    digest: str
    names: list[str]
    server: str
    problem: str


class OrderError(Exception):
    """No certificate was had; the message says why."""


def remember() -> Memory:
    """Read what the last look left behind."""
    try:
        found: Memory = json.loads(MEMORY.read_text())
    except (OSError, ValueError):
        return {"digest": "", "names": [], "server": "", "problem": "none has been asked for yet"}
    return found


def is_taken(memory: Memory, order: OrderEntry) -> bool:
    """Tell whether what is shown was had from this issuer for these names."""
    wanted = (digest(SHOWN.read_text()), sorted(order["names"]), order["server"])
    return wanted == (memory["digest"], sorted(memory["names"]), memory["server"])


def is_due(text: str) -> bool:
    """Tell whether a certificate has little of its time left."""
    begin, end = dates(text)
    return (end - datetime.datetime.now(datetime.UTC)) < (end - begin) * DUE_SHARE


def dates(text: str) -> tuple[datetime.datetime, datetime.datetime]:
    """Return from when until when a certificate is valid."""
    shown = dict(line.split("=", 1) for line in ask_openssl(text, "-startdate", "-enddate").splitlines() if "=" in line)
    begin, end = (
        datetime.datetime.fromtimestamp(ssl.cert_time_to_seconds(shown[name]), datetime.UTC) for name in ("notBefore", "notAfter")
    )
    return begin, end


def ask_openssl(text: str, *options: str) -> str:
    """Return what openssl shows of the first certificate of a PEM."""
    done = run(["openssl", "x509", "-noout", *options], 10, text)
    if done.returncode != 0:
        raise OrderError(f"openssl cannot read a certificate: {done.stderr.strip()[-300:]}")
    return done.stdout


def digest(text: str) -> str:
    """Return a text's digest."""
    return hashlib.sha256(text.encode()).hexdigest()
