"""The conversation with one given host: in by the owner's own keys, the program there and away again, nothing else changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import asyncssh
from pydantic import TypeAdapter, ValidationError

from cli.hosts.across import Offset
from cli.hosts.finding import Verdict
from cli.hosts.judge_machine import judge_release
from cli.hosts.wish import Wish
from cloud_init.host.facts import Facts, Line
from cloud_init.host.program import TICKS
from cloud_init.host_program import forget_command, host_command, make_host_program, receive_command
from components import ssh
from components.model.given_hosts import ACCEPT
from components.model.host_limits import PYTHON, WANTED_CONNECTIONS
from components.model.settings import Settings
from components.ssh import NotLetInError, SshError, Target, explain
from components.ssh_first import copy_key, list_ways_in, read_host_key
from components.ssh_session import Session

CONNECT_SECONDS = 10.0
LOOK_SECONDS = 30.0
FACTS_SECONDS = 180.0
"""Mostly a few; a host under load, with apt that waits for others, takes its time."""
MEND_SECONDS = 330.0
LOOK = """
test -r /etc/os-release && . /etc/os-release
echo "release=$ID $VERSION_ID"
echo "architecture=$(dpkg --print-architecture 2>/dev/null || uname -m)"
echo "python=$(python3 -c 'import platform; print(platform.python_version())' 2>/dev/null)"
"""
"""Needs nothing but a shell: it may be any system."""
_INSTALL_PYTHON = (
    "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=60 "
    "-o Dpkg::Options::=--force-confold python3"
)
INSTALL_PYTHON = f"sh -c '{_INSTALL_PYTHON} || {{ apt-get update && {_INSTALL_PYTHON}; }}'"
FACTS = TypeAdapter(Facts)


@dataclass(frozen=True)
class Measured:
    """What a host counted of audio's packets: how many it sent, and what it received."""

    sent: int
    line: Line


MEASURED = TypeAdapter(Measured)
MENDED: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])


@dataclass
class Answer:
    """What a host told; `verdicts` are those of whoever could not be asked everything."""

    verdicts: list[Verdict] = field(default_factory=list)
    facts: Facts | None = None
    offset: Offset | None = None
    not_let_in: bool = False


class Conversation:
    """One host, asked over one connection until `close`."""

    def __init__(self, wish: Wish, settings: Settings, keys: Sequence[asyncssh.SSHKey] = ()) -> None:
        self.wish, self._settings, self._keys = wish, settings, keys
        self._open = AsyncExitStack()
        self._session: Session | None = None
        self._place = ""

    @property
    def target(self) -> Target:
        """The host as SSH needs it."""
        host = self.wish.host
        stated = " ".join(host.host_key.split()[:2]) if host.host_key not in ("", ACCEPT) else ""
        return Target(
            address=host.address,
            machine_id=host.address,
            user=self._settings.host_user,
            ssh_via=self._settings.ssh_via,
            expected=(stated,) if stated else (),
        )

    async def ask(self, *, measure: bool, mend: bool = False) -> Answer:
        """Ask everything; what stands in the way of the next question ends it, and is told."""
        answer = Answer()
        try:
            async with asyncio.timeout(FACTS_SECONDS + MEND_SECONDS * mend):
                await self._ask(answer, measure, mend)
        except NotLetInError as error:
            answer.not_let_in = True
            answer.verdicts.append(await self._explain_refusal(error))
        except SshError as error:
            answer.verdicts.append(await self._explain_silence(error))
        except TimeoutError:
            answer.verdicts.append(Verdict("facts", "fail", f"no answer within {FACTS_SECONDS:.0f} s"))
        except (OSError, asyncssh.Error) as error:
            answer.verdicts.append(Verdict("facts", "fail", explain(error)))
        return answer

    async def _ask(self, answer: Answer, measure: bool, mend: bool) -> None:
        session = self._session or await self._connect()
        looked = await session.run("sh", seconds=LOOK_SECONDS, input=LOOK.encode(), root=False)
        found = dict(line.split("=", 1) for line in looked.output.splitlines() if "=" in line)
        release = judge_release(found.get("release", ""), found.get("architecture", ""))
        if release.state != "pass":
            answer.verdicts.append(release)
            return
        root = await session.run("true", seconds=LOOK_SECONDS)
        if root.status:
            user, why = self._settings.host_user, root.last_lines(1)
            remedy = f"as root there: apt install sudo; echo '{user} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{user}"
            answer.verdicts.append(Verdict("way in", "fail", f"{user} does not become root: {why}", remedy=remedy))
            return
        if not found.get("python") and mend:
            done = await session.run(INSTALL_PYTHON, seconds=MEND_SECONDS)
            found["python"] = ".".join(map(str, PYTHON)) if done.status == 0 else ""
        if not found.get("python"):
            answer.verdicts += [release, Verdict("python3", "fail", "not installed; nothing else was looked at")]
            return
        await self._send(session, measure)
        answer.offset = await self._read_clock(session)
        done = await session.run(host_command(self._place, "facts"), seconds=FACTS_SECONDS)
        try:
            answer.facts = FACTS.validate_json(done.output)
        except ValidationError:
            answer.verdicts.append(Verdict("facts", "fail", done.last_lines(1) or f"exit status {done.status}, nothing said"))

    async def _connect(self) -> Session:
        """Log in by the owner's own keys, or by those that the deployment has."""
        host = self.wish.host
        session = await ssh.connect(
            self.target,
            self._keys,
            {},
            attempt_seconds=CONNECT_SECONDS,
            pin_new=host.host_key == ACCEPT,
            own=not self._keys,
        )
        self._session = await self._open.enter_async_context(session)
        return session

    async def _send(self, session: Session, measure: bool) -> None:
        """Leave the program in memory, where a restart forgets it."""
        await self._forget()
        sent = await session.run(receive_command(), seconds=LOOK_SECONDS, input=make_host_program(self.wish.ask(measure=measure)))
        if sent.status:
            raise SshError(f"it does not keep the program: {sent.last_lines(1)}")
        self._place = sent.output.strip()

    async def _read_clock(self, session: Session) -> Offset:
        """Compare clocks: the quickest of several answers says it best."""
        process = await session.start(host_command(self._place, "clock"))
        offsets: list[Offset] = []
        try:
            for _ in range(TICKS):
                begun = time.time()
                process.stdin.write(b"\n")
                line = await process.stdout.readline()
                ended = time.time()
                if line:
                    offsets.append(Offset((float(line) - (begun + ended) / 2) * 1000, (ended - begun) / 2 * 1000))
            process.stdin.write_eof()
            await process.wait_closed()
        finally:
            process.close()
        if not offsets:
            raise SshError("its clock gives no answer")
        return min(offsets, key=lambda one: one.around)

    async def mend(self, check: str) -> str:
        """Mend what a check found; return why that failed, "" = it is mended."""
        assert self._session and self._place, "it was asked before"
        command = host_command(self._place, "mend", check, "--most", str(WANTED_CONNECTIONS))
        try:
            done = await self._session.run(command, seconds=MEND_SECONDS)
            return MENDED.validate_json(done.output)["problem"]
        except ValidationError:
            return done.last_lines(1)
        except (OSError, asyncssh.Error, TimeoutError) as error:
            return explain(error)

    async def measure_line(self, peer: Wish, port: int, rate: int, seconds: float) -> Measured | str:
        """Send audio's packets to another host and take what it sends; both have to be told at the same time."""
        assert self._session and self._place, "it was asked before"
        words = (self.wish.host.private, peer.host.private, str(port), str(rate), f"{seconds:g}")
        try:
            done = await self._session.run(host_command(self._place, "line", *words), seconds=seconds + LOOK_SECONDS)
            return MEASURED.validate_json(done.output)
        except ValidationError:
            return done.last_lines(1) or "nothing said"
        except (OSError, asyncssh.Error, TimeoutError) as error:
            return explain(error)

    async def _explain_refusal(self, error: NotLetInError) -> Verdict:
        """Say which ways in the host offers, where it took no key."""
        user, host = self.target.user, self.wish.host
        ways = await list_ways_in(self.target)
        passwords = "password" in ways or "keyboard-interactive" in ways
        found = f"{user}@{host.host} takes none of your keys" + (", only a password" if passwords else "")
        by_whom = f"{copy_key(self.target)}, with its password once" if passwords else f"put your key there: {error}"
        if user == "root" and "publickey" not in ways and ways:
            by_whom = "allow keys: PubkeyAuthentication yes in /etc/ssh/sshd_config; then " + by_whom
        return Verdict("way in", "fail", found, remedy=f"{by_whom}; nothing is ever asked for a password")

    async def _explain_silence(self, error: SshError) -> Verdict:
        """Say what answers instead, where that is known."""
        host = self.wish.host
        if host.host_key:
            return Verdict("way in", "fail", str(error), remedy="see that SSH answers there, and who")
        shown = await read_host_key(self.target)
        if not shown:
            found = str(error) if self._settings.ssh_via else f"nobody answers at {host.address}"
            return Verdict("way in", "fail", found, remedy="see that SSH answers there")
        return Verdict(
            "way in",
            "fail",
            f"its host key is not stated, so nothing was sent; whoever answers shows {shown}",
            remedy="compare that with the host's own /etc/ssh/ssh_host_*_key.pub, and write it as host_key in webitel:hosts",
        )

    async def _forget(self) -> None:
        if self._session and self._place and self._session.is_open:
            await self._session.run(forget_command(self._place), seconds=LOOK_SECONDS)
            self._place = ""

    async def close(self) -> None:
        """Take the program away and end the connection."""
        try:
            await self._forget()
        except (OSError, asyncssh.Error, TimeoutError):
            self._place = ""  # it lies in memory, and a restart of the host takes it away
        await self._open.aclose()
