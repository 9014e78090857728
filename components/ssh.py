"""SSH to the nodes, for the provider and the command line: keys in memory, host keys pinned by machine, bounded waits."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple, Self

import asyncssh
from pydantic import BaseModel, ConfigDict

from components.host_keys import own_key, throw_away_key
from components.ssh_session import Session

Progress = Callable[[str], None]
Pins = MutableMapping[str, str]
"""Machine id -> host key, one line as in known_hosts without the host."""

_ATTEMPT_SECONDS = 10.0
_RETRY_SECONDS = 0.5
_KEEPALIVE_SECONDS = 10  # three unanswered ones end the connection
_PORT = 22


class Hop(BaseModel):
    """A machine that SSH reaches: `address` with `:port` where it is not 22.

    `boot_key` names the node whose throw-away host key it booted with, if it did; `expected` are the host keys that it may have
    at the first contact, its own and then the throw-away one.
    """

    model_config = ConfigDict(frozen=True)
    address: str
    machine_id: str
    boot_key: str = ""
    expected: tuple[str, ...] = ()

    def expect(self, seed: str) -> Self:
        """Return the machine with the host keys that it may have; as it is where it booted without one of ours."""
        if not (self.boot_key and seed):
            return self
        keys = own_key(seed, self.machine_id), throw_away_key(seed, self.boot_key)
        return self.model_copy(update={"expected": tuple(key.public for key in keys)})


class Target(Hop):
    """A node, and the way to it: `ssh_via` (the user's own bastion, see Bastion) or through one of `via`."""

    user: str
    via: tuple[Hop, ...] = ()
    ssh_via: str = ""


class Bastion(NamedTuple):
    """The user's own way in. What it does not say, the user's SSH configuration decides."""

    host: str
    user: str = ""
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Bastion":
        """Read `webitel:ssh_via`: user@host or user@host:port."""
        user, _, place = text.rpartition("@")
        host, _, port = place.partition(":")
        return cls(host, user, int(port) if port else None)


class SshError(Exception):
    """A node cannot be reached, or must not be spoken to; the message is for a person."""


class NotLetInError(SshError):
    """The node takes none of the keys."""


class WrongHostKey(SshError):
    """Another machine answers at the address of a known one."""

    def __init__(self, hop: Hop) -> None:
        super().__init__(
            f"{hop.address} answers with another host key than machine {hop.machine_id} had at the first contact: "
            "it is another machine, or somebody is intercepting the connection, so nothing was sent.\n"
            "If it made new host keys (you reinstalled it, or ran cloud-init clean; cloud-init does it too where the cloud's "
            "metadata were out of reach at a start), give the deployment a new machine: ./webitel replace NODE"
        )


def read_key(private_key: str) -> asyncssh.SSHKey:
    """Read the text of an OpenSSH private key file."""
    try:
        return asyncssh.import_private_key(private_key)
    except asyncssh.KeyImportError as error:
        raise SshError(f"the deployment's SSH key cannot be read: {error}") from error


def show_public(key: asyncssh.SSHKey) -> str:
    """Return type and text of a public key, as one line of authorized_keys begins."""
    return " ".join(key.export_public_key().decode().split()[:2])


def merge_pins(nodes: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """Join what nodes, each with its machine id, know of host keys. What one knows of itself is newer than what others do."""
    known = list(nodes)
    met = {machine: key for _, keys in known for machine, key in keys.items()}
    return met | {machine: keys[machine] for machine, keys in known if machine in keys}


async def connect(
    target: Target,
    keys: Sequence[asyncssh.SSHKey],
    pins: Pins,
    *,
    seconds: float = 0,
    attempt_seconds: float = _ATTEMPT_SECONDS,
    pin_new: bool = False,
    progress: Progress = lambda text: None,
    own: bool = False,
) -> Session:
    """Open a session, trying again for so many seconds (0 = one attempt); with `pin_new` host keys of machines met for the
    first time are accepted and put into `pins`, where it is not known which one they have. `own`: by the keys of whoever runs
    this, from agent and files, instead of `keys`.

    Raises WrongHostKey, and whatever no later attempt can mend, at once; otherwise SshError with the last reason.
    """
    end = time.monotonic() + seconds
    way = _Way(keys, pins, attempt_seconds, pin_new, own)
    while True:
        try:
            return Session(await way.open(target), needs_sudo=target.user != "root")
        except (OSError, asyncssh.Error, TimeoutError) as error:
            reason, kind = explain(error), NotLetInError if isinstance(error, asyncssh.PermissionDenied) else SshError
        if time.monotonic() >= end:
            late = f" did not answer within {seconds:g} s" if seconds else ""
            raise kind(f"SSH to {target.user}@{target.address}{late}: {reason}")
        progress(f"waiting for SSH: {reason}")
        await asyncio.sleep(_RETRY_SECONDS)


async def open_bastion(ssh_via: str, seconds: float) -> asyncssh.SSHClientConnection:
    """Connect in the user's own way: their SSH configuration, agent and known_hosts decide."""
    bastion = Bastion.parse(ssh_via)
    options: dict[str, Any] = {"username": bastion.user} if bastion.user else {}
    options |= {"port": bastion.port} if bastion.port else {}
    try:
        return await asyncssh.connect(bastion.host, connect_timeout=seconds, **options)
    except asyncssh.HostKeyNotVerifiable as error:
        raise SshError(
            f"the host key of {ssh_via} is not in your known_hosts ({error.reason}): connect once with ssh, then again"
        ) from error
    except asyncssh.PermissionDenied as error:
        raise SshError(f"{ssh_via} does not accept your SSH keys: {error.reason}") from error


class _Way(NamedTuple):
    """One attempt after the other to reach a node."""

    keys: Sequence[asyncssh.SSHKey]
    pins: Pins
    seconds: float
    pin_new: bool
    own: bool

    async def open(self, target: Target) -> list[asyncssh.SSHClientConnection]:
        """Open the connection to the node and the one it goes through."""
        if target.ssh_via:
            return await self._go_through(target.ssh_via, open_bastion(target.ssh_via, self.seconds), target)
        if not target.via:
            return [await self._open_hop(target, target.user, None)]
        reasons = []
        for hop in target.via:
            try:
                return await self._go_through(hop.address, self._open_hop(hop, target.user, None), target)
            except (OSError, asyncssh.Error, TimeoutError) as error:
                reasons.append(explain(error) if isinstance(error, _HopError) else f"through {hop.address}: {explain(error)}")
        raise _HopError("; ".join(reasons))

    async def _go_through(
        self, name: str, opening: Coroutine[Any, Any, asyncssh.SSHClientConnection], target: Target
    ) -> list[asyncssh.SSHClientConnection]:
        try:
            tunnel = await opening
        except (OSError, asyncssh.Error, TimeoutError) as error:
            raise _HopError(f"through {name}: {explain(error)}") from error
        try:
            return [await self._open_hop(target, target.user, tunnel), tunnel]
        except BaseException:
            tunnel.close()
            raise

    async def _open_hop(self, hop: Hop, user: str, tunnel: asyncssh.SSHClientConnection | None) -> asyncssh.SSHClientConnection:
        host, _, port = hop.address.partition(":")
        pin = self.pins.get(hop.machine_id)
        right = (pin,) if pin else hop.expected
        if not right and not self.pin_new:
            raise _HopError(f"the host key of {hop.address} is not known yet, so nothing was sent: ./webitel up pins it")
        known: Any = ([asyncssh.import_public_key(key) for key in right], [], []) if right else None
        ours = {} if self.own else {"config": None, "client_keys": list(self.keys), "agent_path": None}
        try:
            connection = await asyncssh.connect(
                host,
                int(port or _PORT),
                tunnel=tunnel,
                username=user,
                preferred_auth="publickey",
                known_hosts=known,
                connect_timeout=self.seconds,
                login_timeout=self.seconds,
                keepalive_interval=_KEEPALIVE_SECONDS,
                **ours,
            )
        except asyncssh.HostKeyNotVerifiable as error:
            if pin is None and not hop.boot_key:
                raise SshError(
                    f"{hop.address} does not have the host key that webitel:hosts states, so nothing was sent: another machine "
                    "answers, or somebody is intercepting the connection; compare it with the host's own "
                    "/etc/ssh/ssh_host_*_key.pub"
                ) from error
            if pin is None:
                # It may be about to get it: where cloud-init comes late, the image's own is there first.
                raise _HopError(
                    f"{hop.address} does not have the host key that its machine was given, so nothing was sent: another machine "
                    f"answers, or somebody is intercepting the connection. If this lasts: ./webitel replace {hop.boot_key}"
                ) from error
            raise WrongHostKey(hop) from error
        if pin is None:
            key = connection.get_server_host_key()
            assert key is not None, "asyncssh knows the host key of an open connection"
            shown = show_public(key)
            # A throw-away one proves who it is once, and is nobody's from then on.
            if shown not in hop.expected[1:]:
                self.pins[hop.machine_id] = shown
        return connection


class _HopError(OSError):
    """No way leads through the machines in between; the text says why for each."""


def explain(error: Exception) -> str:
    """Say what went wrong, short and without a code name."""
    if isinstance(error, _HopError | SshError):
        return str(error)
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, asyncssh.PermissionDenied):
        return "it does not accept the deployment's key (yet)"
    if isinstance(error, asyncssh.Error):
        return error.reason or type(error).__name__
    if isinstance(error, socket.gaierror):
        return "no such host name"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()  # asyncio's own text repeats the address
    return str(error) or type(error).__name__
