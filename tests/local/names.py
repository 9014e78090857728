"""A name server at a deployment's gateway, for names that this test invents: what a company's own would say."""

from __future__ import annotations

import ipaddress
import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.local.deployment import Deployment

HEADER = struct.Struct(">HHHHHH")
ANSWERS, REFUSED, ADDRESS_TYPE = 0x8400, 0x8405, 1
TTL_SECONDS = 5
DROP_IN = "/etc/systemd/resolved.conf.d/test.conf"


def answer(query: bytes, address: str, domain: str) -> bytes:
    """Say that what is asked for of the domain is at this address, and refuse all else: others know it (RFC 1035)."""
    number, end, labels = HEADER.unpack_from(query)[0], HEADER.size, []
    while length := query[end]:
        labels.append(query[end + 1 : end + 1 + length].decode(errors="replace").lower())
        end += length + 1
    if not f".{'.'.join(labels)}".endswith(f".{domain}"):
        return HEADER.pack(number, REFUSED, 1, 0, 0, 0) + query[HEADER.size : end + 5]
    question = query[HEADER.size : end + 5]
    found = b""
    if struct.unpack_from(">H", query, end + 1)[0] == ADDRESS_TYPE:
        found = (
            struct.pack(">HHHIH", 0xC000 | HEADER.size, ADDRESS_TYPE, 1, TTL_SECONDS, 4) + ipaddress.IPv4Address(address).packed
        )
    return HEADER.pack(number, ANSWERS, 1, bool(found), 0, 0) + question + found


@contextmanager
def serve_names(deployment: Deployment, domain: str) -> Iterator[None]:
    """Have the nodes find every name of a domain at this host, also after a restart."""
    gateway = deployment.gateway

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            query, own = self.request
            own.sendto(answer(query, gateway, domain), self.client_address)

    server = socketserver.ThreadingUDPServer((gateway, 53), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for node in deployment.nodes():
        node.on_node(
            f"printf '[Resolve]\\nDNS={gateway}\\nDomains=~{domain}\\n' >{DROP_IN} && systemctl restart systemd-resolved"
        )
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
