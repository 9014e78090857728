"""The certificate that the web shows: its chain, its name, and the days that it has left."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping

from cli.smoke.check import Finding, World, ask_many, explain
from cli.smoke.web import TIMEOUT_SECONDS, WEB

LEAST_DAYS = 14
"""A certificate that somebody renews by hand fails below."""
LEAST_SHARE = 1 / 6
"""What is left of the time of one that renews itself, due at a third (`cloud_init/node/ask/certificate.py`)."""


def check_certificate(world: World) -> Iterable[Finding]:
    """Judge the certificate of every node of the web: chain, name and days."""
    port = world.port(WEB, "https")
    return ask_many(lambda one: judge_certificate(world, one[1], port), world.outside(WEB))


def judge_certificate(world: World, address: str, port: int) -> Finding:
    """Judge what is shown there, against the issuer that the settings name."""
    name = world.plan.domain or address
    target = f"{name}:{port}" + ("" if world.name else f" at {address}")
    own = world.settings.certificate == "self-signed"
    context = ssl.create_default_context(cadata=world.authority or None) if own else ssl.create_default_context()
    try:
        with (
            socket.create_connection((address, port), TIMEOUT_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            shown = connection.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return Finding(target, False, error.verify_message)
    except OSError as error:
        return Finding(target, False, explain(error))
    return judge_days(target, dict(_dates(shown)), world.settings.certificate == "letsencrypt")


def _dates(shown: Mapping[str, object]) -> Iterator[tuple[str, float]]:
    for name in ("notBefore", "notAfter"):
        yield name, ssl.cert_time_to_seconds(str(shown[name]))


def judge_days(target: str, dates: Mapping[str, float], renews_itself: bool) -> Finding:
    """Judge how long a certificate holds."""
    left, whole = dates["notAfter"] - time.time(), dates["notAfter"] - dates["notBefore"]
    due = left < whole * LEAST_SHARE if renews_itself else left < LEAST_DAYS * 86400
    found = f"chain and name are right, {left / 86400:.0f} days left"
    return Finding(target, not due, found + (": too few" if due else ""), figures={"days": round(left / 86400, 1)})
