"""SSH to the nodes: keys in memory only, host keys pinned by machine, every wait bounded and cancellable."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import asyncssh
from pydantic import BaseModel, ConfigDict

from provider.handler import Cancelled, ProviderError, Request

T = TypeVar("T")
Progress = Callable[[str], None]
Pins = MutableMapping[str, str]
"""Machine id -> host key, one line as in known_hosts without the host."""

_ATTEMPT_SECONDS = 10
_RETRY_SECONDS = 0.5
_CANCEL_SECONDS = 0.25
_KEEPALIVE_SECONDS = 10  # three unanswered ones end the connection
_KEPT_ERRORS = 65536  # bytes of a command's error output
_PORT = 22


class Hop(BaseModel):
    """A machine that SSH reaches: `address` with `:port` where it is not 22."""

    model_config = ConfigDict(frozen=True)
    address: str
    machine_id: str


class Target(Hop):
    """A node, and the way to it: `ssh_via` (user@host, the user's own bastion) or through one of `via`."""

    user: str
    via: tuple[Hop, ...] = ()
    ssh_via: str = ""


class WrongHostKey(ProviderError):
    """Another machine answers at the address of a known one."""

    def __init__(self, hop: Hop) -> None:
        super().__init__(
            f"{hop.address} answers with another host key than machine {hop.machine_id} had at the first contact: "
            "it is another machine, or somebody stands in between, so nothing was sent.\n"
            "If you reinstalled it yourself, replace it: pulumi up --replace URN-OF-ITS-MACHINE"
        )


class Result(NamedTuple):
    """How a command ended; `output` is empty when its lines went to a callback."""

    status: int
    output: str
    errors: str

    def last_lines(self, count: int = 12) -> str:
        """The last lines it wrote, the error output before the other."""
        return "\n".join((self.errors.strip() or self.output.strip()).splitlines()[-count:])


class Session:
    """A connection to a node; commands of one session may run at the same time."""

    def __init__(self, connection: asyncssh.SSHClientConnection, target: Target) -> None:
        self._connection = connection
        self._sudo = "" if target.user == "root" else "sudo -n "

    async def run(
        self,
        command: str,
        *,
        seconds: float,
        input: bytes = b"",
        on_line: Callable[[str], None] | None = None,
        root: bool = True,
    ) -> Result:
        """Runs a command, as root if wanted, and waits for its end. Raises TimeoutError and asyncssh.ConnectionLost."""
        process: asyncssh.SSHClientProcess[bytes] = await self._connection.create_process(
            (self._sudo if root else "") + command, encoding=None
        )
        output: list[bytes] = []
        errors = bytearray()

        async def read_output() -> None:
            async for line in process.stdout:
                if on_line:
                    on_line(line.decode(errors="replace").rstrip("\n"))
                else:
                    output.append(line)

        async def read_errors() -> None:
            async for line in process.stderr:
                errors.extend(line)
                del errors[:-_KEPT_ERRORS]

        async def write_input() -> None:
            try:
                process.stdin.write(input)
                await process.stdin.drain()
                process.stdin.write_eof()
            except BrokenPipeError:
                return  # it ended without reading all of it: its status and its words tell why

        try:
            async with asyncio.timeout(seconds):
                await asyncio.gather(read_output(), read_errors(), write_input())
                await process.wait_closed()
        finally:
            process.close()
        if process.exit_status is None:
            raise asyncssh.ConnectionLost(f"the connection was lost during: {command[:60]}")
        return Result(
            process.exit_status, b"".join(output).decode(errors="replace"), bytes(errors).decode(errors="replace")
        )

    @property
    def is_open(self) -> bool:
        """Whether the connection is still there, as far as is known."""
        return not self._connection.is_closed()

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


def run_cancellable(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in this thread until it ends; raises Cancelled at once when the request is cancelled."""

    async def guard() -> T:
        task = asyncio.ensure_future(work)
        while not task.done():
            await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
            if request.cancelled.is_set() and not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1)
                raise Cancelled
        return task.result()

    return asyncio.run(guard())


def read_key(private_key: str) -> asyncssh.SSHKey:
    """The key of an OpenSSH private key file's text."""
    try:
        return asyncssh.import_private_key(private_key)
    except asyncssh.KeyImportError as error:
        raise ProviderError(f"the deployment's SSH key cannot be read: {error}") from error


def show_public(key: asyncssh.SSHKey) -> str:
    """Type and text of a public key, as one line of authorized_keys begins."""
    return " ".join(key.export_public_key().decode().split()[:2])


async def connect(
    target: Target, keys: Sequence[asyncssh.SSHKey], pins: Pins, *, seconds: float, progress: Progress
) -> Session:
    """Opens a session, trying for so many seconds; pins the host keys of machines met for the first time.

    Raises WrongHostKey at once, otherwise a ProviderError with the last reason when the time is over.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return Session(await _open(target, keys, pins), target)
        except (OSError, asyncssh.Error, TimeoutError) as error:
            reason = explain(error)
        if time.monotonic() >= end:
            raise ProviderError(f"SSH to {target.user}@{target.address} did not answer within {seconds:g} s: {reason}")
        progress(f"waiting for SSH: {reason}")
        await asyncio.sleep(_RETRY_SECONDS)


async def _open(target: Target, keys: Sequence[asyncssh.SSHKey], pins: Pins) -> asyncssh.SSHClientConnection:
    if target.ssh_via:
        # The user's own way: their SSH configuration, agent and known_hosts decide.
        user, _, host = target.ssh_via.rpartition("@")
        with _name_hop(target.ssh_via):
            options: Any = {"username": user} if user else {}
            bastion = await asyncssh.connect(host, connect_timeout=_ATTEMPT_SECONDS, **options)
        return await _open_hop(target, target.user, keys, pins, bastion)
    if not target.via:
        return await _open_hop(target, target.user, keys, pins, None)
    reasons = []
    for hop in target.via:
        try:
            with _name_hop(hop.address):
                tunnel = await _open_hop(hop, target.user, keys, pins, None)
            return await _open_hop(target, target.user, keys, pins, tunnel)
        except (OSError, asyncssh.Error, TimeoutError, _HopError) as error:
            reasons.append(str(error) if isinstance(error, _HopError) else f"through {hop.address}: {explain(error)}")
    raise _HopError("; ".join(reasons))


async def _open_hop(
    hop: Hop,
    user: str,
    keys: Sequence[asyncssh.SSHKey],
    pins: Pins,
    tunnel: asyncssh.SSHClientConnection | None,
) -> asyncssh.SSHClientConnection:
    host, _, port = hop.address.partition(":")
    pin = pins.get(hop.machine_id)
    known: Any = ([asyncssh.import_public_key(pin)], [], []) if pin else None
    try:
        connection = await asyncssh.connect(
            host,
            int(port or _PORT),
            tunnel=tunnel,
            config=None,
            username=user,
            client_keys=list(keys),
            agent_path=None,
            preferred_auth="publickey",
            known_hosts=known,
            connect_timeout=_ATTEMPT_SECONDS,
            login_timeout=_ATTEMPT_SECONDS,
            keepalive_interval=_KEEPALIVE_SECONDS,
        )
    except asyncssh.HostKeyNotVerifiable as error:
        raise WrongHostKey(hop) from error
    if pin is None:
        key = connection.get_server_host_key()
        assert key is not None, "asyncssh knows the host key of an open connection"
        pins[hop.machine_id] = key.export_public_key().decode().strip()
    return connection


class _HopError(OSError):
    """No way leads through the machines in between; the text says why for each."""


@contextmanager
def _name_hop(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, asyncssh.Error, TimeoutError) as error:
        raise _HopError(f"through {name}: {explain(error)}") from error


def explain(error: Exception) -> str:
    """What went wrong, short and without a code name."""
    if isinstance(error, _HopError):
        return str(error)
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, asyncssh.PermissionDenied):
        return "it does not accept the deployment's key (yet)"
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return f"its host key is not in your known_hosts: {error.reason}"
    if isinstance(error, asyncssh.Error):
        return error.reason or type(error).__name__
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()  # asyncio's own text repeats the address
    return str(error) or type(error).__name__
