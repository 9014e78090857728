"""Incus as typed functions over its REST interface on the local socket (Incus 6.0, `incus query` speaks the same)."""

import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

POOL = "webitel"
"""Name of the storage pool of everything local."""

Pause = Callable[[float], None]
"""Waits so many seconds; raises to give up."""
Object = dict[str, Any]

_TIMEOUT = 300  # seconds for one answer; anything long is an operation, and those are polled
_BUSY = ("is busy running", "Instance is running")
_BUSY_SECONDS = 60
_POLL = 0.05  # seconds
_SUCCESS = 200  # of an operation: below it runs, above it failed or was cancelled


class IncusError(RuntimeError):
    """What Incus refused, in its words. `status` is the HTTP status, 0 when Incus does not answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class _Connection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(socket_path()))


def socket_path() -> Path:
    """Path of the daemon's socket, where INCUS_SOCKET or INCUS_DIR say, as for the `incus` command."""
    directory = Path(os.environ.get("INCUS_DIR", "/var/lib/incus"))
    return Path(os.environ.get("INCUS_SOCKET") or directory / "unix.socket")


def call(method: str, path: str, body: Mapping[str, Any] | None = None, *, pause: Pause = time.sleep) -> Any:
    """Send a request to `/1.0<path>` and return its answer, waiting for the end of the operation if it starts one.

    While Incus is busy with the same container (still creating it, still stopping it, still failing to start it) it is asked
    again.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return _call(method, path, body, pause)
        except IncusError as error:
            if not any(busy in str(error) for busy in _BUSY) or time.monotonic() > deadline:
                raise
        pause(0.2)


def _call(method: str, path: str, body: Mapping[str, Any] | None, pause: Pause) -> Any:
    answer = _send(method, f"/1.0{path}", body)
    operation = answer["metadata"]
    if answer["type"] != "async":
        return operation
    while operation["status_code"] < _SUCCESS:
        pause(_POLL)  # Incus's own waiting answers a time-out with an error and cannot be interrupted
        operation = _send("GET", f"/1.0/operations/{operation['id']}", None)["metadata"]
    if operation["status_code"] != _SUCCESS:
        raise IncusError(operation["err"], operation["status_code"])
    return operation["metadata"]


def _send(method: str, path: str, body: Mapping[str, Any] | None) -> Object:
    said = _exchange(method, path, json.dumps(body).encode() if body is not None else None, {})[1]
    try:
        answer: Object = json.loads(said)
    except ValueError as error:
        raise _describe_silence(error) from error
    if answer["type"] == "error":
        raise IncusError(answer["error"], answer["error_code"])
    return answer


def _exchange(method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
    connection = _Connection("incus", timeout=_TIMEOUT)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _describe_silence(error) from error
    finally:
        connection.close()


def _describe_silence(error: Exception) -> IncusError:
    return IncusError(f"Incus does not answer at {socket_path()} ({error}); start it with: python3 -m tools.incus start")


def read_file(path: str) -> bytes:
    """Return what Incus keeps as a file at `/1.0<path>`, such as the recorded output of a command."""
    status, body = _exchange("GET", f"/1.0{path}", None, {})
    if status != http.client.OK:
        raise IncusError(f"{path}: {body.decode(errors='replace').strip()}", status)
    return body


def write_file(name: str, path: str, content: bytes) -> None:
    """Write a file into a running container, root's and for root only."""
    headers = {"X-Incus-type": "file", "X-Incus-mode": "0600", "X-Incus-uid": "0", "X-Incus-gid": "0"}
    status, body = _exchange("POST", f"/1.0{instance_path(name)}/files?path={quote(path)}", content, headers)
    if status != http.client.OK:
        raise IncusError(f"{path} was not written: {body.decode(errors='replace').strip()}", status)


def find(path: str) -> Object | None:
    """Return the object at `/1.0<path>`, None when there is none."""
    try:
        found: Object = call("GET", path)
    except IncusError as error:
        if error.status == 404:
            return None
        raise
    return found


def list_objects(path: str) -> list[Object]:
    """Return all objects of the collection at `/1.0<path>`."""
    found: list[Object] | None = call("GET", f"{path}?recursion=1")
    return found or []


def remove(path: str, *, pause: Pause = time.sleep) -> None:
    """Delete the object at `/1.0<path>`; one that is gone is no error."""
    try:
        call("DELETE", path, pause=pause)
    except IncusError as error:
        if error.status != 404:
            raise


def instance_path(name: str) -> str:
    """Path of a container."""
    return f"/instances/{quote(name, safe='')}"


def network_path(name: str) -> str:
    """Path of a network."""
    return f"/networks/{quote(name, safe='')}"


def volume_path(name: str) -> str:
    """Path of a custom volume on our pool."""
    return f"/storage-pools/{POOL}/volumes/custom/{quote(name, safe='')}"


def change_state(name: str, action: str, *, force: bool = False, pause: Pause = time.sleep) -> None:
    """Start, stop or restart a container; a stop or restart that is not forced has 30 s."""
    body = {"action": action, "force": force, "timeout": -1 if force else 30}
    call("PUT", f"{instance_path(name)}/state", body, pause=pause)


def delete_instance(name: str, *, pause: Pause = time.sleep) -> None:
    """Stop a container at once and delete it; one that is gone is no error."""
    path = instance_path(name)
    found = find(path)
    if found is None:
        return
    if found["status"] != "Stopped":
        change_state(name, "stop", force=True, pause=pause)
    remove(path, pause=pause)
