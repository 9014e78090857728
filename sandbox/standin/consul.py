"""A Consul entry with a TTL check, over a bare socket: http.client alone would cost each process four MiB."""

import json
import os
import socket
import threading
from collections.abc import Callable

from .words import Registration


class ConsulError(Exception):
    """Nobody answers at an address, or Consul answers with an error."""


def call_http(address: str, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Status and text of one request to `host:port` (8500 without port); raises ConsulError when nobody answers."""
    host, _, port = address.removeprefix("http://").partition(":")
    content = json.dumps(body).encode() if body is not None else b""
    token = os.environ.get("CONSUL_HTTP_TOKEN")
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", f"Content-Length: {len(content)}"]
    if token:
        head.append(f"X-Consul-Token: {token}")
    answer = b""
    try:
        with socket.create_connection((host, int(port or 8500)), timeout=5) as connection:
            connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + content)
            while chunk := connection.recv(65536):
                answer += chunk
    except OSError as error:
        raise ConsulError(f"{method} http://{address}{path}: {error}") from error
    top, _, text = answer.partition(b"\r\n\r\n")
    words = top.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise ConsulError(f"{method} http://{address}{path}: no HTTP answer")
    return int(words[1]), text.decode(errors="replace")


class Entry:
    """The entry of one service, kept passing by a thread whatever happens to the service's other connections."""

    def __init__(
        self,
        agent: str,
        registration: Registration,
        identifier: str,
        address: str,
        port: int,
        speed: float,
        say: Callable[[str], None],
    ) -> None:
        self.agent, self.registration, self.identifier = agent, registration, identifier
        self.address, self.port, self.speed, self.say = address, port, speed, say
        self.check = registration.check.format(ID=identifier) and identifier if registration.check else f"service:{identifier}"
        self.registered = False
        self.ended, self.renewing = threading.Event(), threading.Lock()

    def register(self) -> None:
        """Makes the entry, passing at once; raises ConsulError."""
        registration = self.registration
        status, text = call_http(
            self.agent,
            "PUT",
            "/v1/agent/service/register",
            {
                "Name": registration.name,
                "ID": self.identifier,
                "Address": self.address,
                "Port": self.port,
                "Tags": [tag if "{" not in tag else self.identifier for tag in registration.tags],
                "Check": {
                    "CheckID": self.check,
                    "TTL": f"{registration.ttl}s",
                    "DeregisterCriticalServiceAfter": f"{registration.deregister}s",
                },
            },
        )
        if status >= 400:
            raise ConsulError(f"register {self.identifier}: {status} {text.strip()}")
        self.registered = True
        self.pass_check()

    def pass_check(self) -> bool:
        """Reports the check as passing; False when Consul does not know it."""
        status, _ = call_http(
            self.agent, "PUT", f"/v1/agent/check/update/{self.check}", {"Status": "passing", "Output": self.registration.output}
        )
        return status < 400

    def deregister(self) -> None:
        """Takes the entry away as far as Consul answers; nothing renews it, or makes it anew, any more.

        The vendor's programs stop their ticker first (webitel/engine pkg/discovery/consul.go, Shutdown).
        """
        self.ended.set()
        with self.renewing:
            try:
                call_http(self.agent, "PUT", f"/v1/agent/service/deregister/{self.identifier}")
            except ConsulError as error:
                self.say(str(error))

    def start(self) -> None:
        """Keeps the entry in a thread of its own."""
        threading.Thread(target=self._keep, daemon=True).start()

    def _keep(self) -> None:
        while not self.ended.wait(
            (self.registration.passes if self.registered else self.registration.retries or 1e6) / self.speed
        ):
            with self.renewing:
                self._renew()

    def _renew(self) -> None:
        if self.ended.is_set():
            return
        try:
            if not self.registered or (not self.pass_check() and self.registration.recovers):
                self.register()
        except ConsulError as error:
            self.say(str(error))
