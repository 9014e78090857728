"""A call to a hypervisor's own interface: for what no function of its provider tells or does."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping

SECONDS = 15.0
"""For an answer."""


def send(base: str, method: str, path: str, headers: Mapping[str, str], *, insecure: bool) -> bytes:
    """Return the body of an answer; `insecure`: whatever certificate is shown. Raises OSError with the interface's own words."""
    request = urllib.request.Request(
        f"{base}{path}",
        b"{}" if method == "POST" else None,
        {**headers, "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=make_context(insecure=insecure)) as answer:
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        raise OSError(f"{path}: {error.code} {error.reason} {error.read(500).decode(errors='replace')}".strip()) from error
    except urllib.error.URLError as error:
        raise OSError(f"{path}: {error.reason}") from error


def make_context(*, insecure: bool) -> ssl.SSLContext:
    """Return what checks certificates, but where its owner told the provider not to: a fresh installation has one that nobody
    signed."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
