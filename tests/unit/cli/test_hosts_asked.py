"""One host is asked over a real SSH server on the loopback, whose commands run on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from cli.hosts.ask import Answer, Conversation
from cli.hosts.wish import Wish
from cloud_init.host import program
from components.model.settings import Settings
from provider.certificates import make_ssh_key
from tests.unit.cli.host_facts import FACTS, SETTINGS, make_wishes


@dataclass
class Server:
    """A host that runs what it is told, after `change` has changed it; it lets in who has the key of `lets_in`."""

    lets_in: str
    port: int = 0
    host_key: str = ""
    change: Callable[[str], str] = lambda command: command
    passwords: bool = False
    refused: tuple[str, ...] = ()

    async def handle(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = self.change(process.command or "")
        pipe = subprocess.PIPE
        with subprocess.Popen(command, shell=True, stdin=pipe, stdout=pipe, stderr=pipe) as done:
            assert done.stdin and done.stdout and done.stderr
            into, output = done.stdin, done.stdout

            async def feed() -> None:
                with contextlib.suppress(BrokenPipeError):
                    while read := await process.stdin.read(65536):
                        into.write(read)
                        into.flush()
                    into.close()

            feeding = asyncio.create_task(feed())
            while said := await asyncio.to_thread(output.read1, 65536):  # type: ignore[attr-defined]
                process.stdout.write(said)
            process.stderr.write(await asyncio.to_thread(done.stderr.read))
            feeding.cancel()
        process.exit(done.returncode)


class Door(asyncssh.SSHServer):
    def __init__(self, server: Server) -> None:
        self._server = server

    def password_auth_supported(self) -> bool:
        return self._server.passwords

    def public_key_auth_supported(self) -> bool:
        return bool(self._server.lets_in)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> bool:
        return dest_port == self._server.port

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username not in self._server.refused and key == asyncssh.import_public_key(self._server.lets_in)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A host that takes the owner's key, which lies where people have theirs."""
    private, public = make_ssh_key()
    home = tmp_path / "home/.ssh"
    home.mkdir(parents=True)
    (home / "id_ed25519").write_text(private)
    (home / "id_ed25519").chmod(0o600)
    monkeypatch.setenv("HOME", str(home.parent))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    made = Server(public)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    key = asyncssh.import_private_key(make_ssh_key()[0])

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            0,
            server_factory=lambda: Door(made),
            server_host_keys=[key],
            process_factory=made.handle,
            encoding=None,
        )

    acceptor = asyncio.run_coroutine_threadsafe(listen(), loop).result(10)
    made.port = acceptor.get_port()
    made.host_key = " ".join(key.export_public_key().decode().split()[:2])
    yield made

    async def end() -> None:
        acceptor.close()
        await acceptor.wait_closed()

    asyncio.run_coroutine_threadsafe(end(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def ask(server: Server, *, host_key: str | None = None, mend: bool = False, **more: str) -> Answer:
    settings = Settings.model_validate(SETTINGS | {"host_user": "root"} | more)
    wish: Wish = make_wishes()["app-1"]
    stated = server.host_key if host_key is None else host_key
    changed: dict[str, Any] = {"address": f"127.0.0.1:{server.port}", "host_key": stated, "private_address": None}
    conversation = Conversation(replace(wish, host=wish.host.model_copy(update=changed), peers=()), settings)

    async def talk() -> Answer:
        try:
            return await conversation.ask(measure=False, mend=mend)
        finally:
            await conversation.close()

    return asyncio.run(talk())


def only(answer: Answer) -> tuple[str, str, str, str]:
    """The one thing that stood in the way."""
    bad = [one for one in answer.verdicts if one.state != "pass"]
    assert len(bad) == 1 and answer.facts is None
    return bad[0].check, bad[0].state, bad[0].found, bad[0].remedy


def debian(text: str) -> Callable[[str], str]:
    """Have the first question answered so, and the last one as a host would that is as wished; the rest runs on this machine."""

    def change(command: str) -> str:
        if command == "sh":
            return f"cat >/dev/null; printf '{text}'"
        return f"echo {shlex.quote(json.dumps(asdict(FACTS)))}" if command.endswith(" facts") else command

    return change


GOOD = debian("release=debian 12\\narchitecture=amd64\\npython=3.11.2\\n")


def test_facts_and_the_clock_come_from_the_host_and_nothing_stays_there(server: Server) -> None:
    said: list[str] = []

    def note(command: str) -> str:
        said.append(command)
        return GOOD(command)

    server.change = note
    answer = ask(server)
    assert answer.verdicts == [] and answer.facts and answer.facts.system
    assert answer.offset and abs(answer.offset.ahead) <= answer.offset.around + 50
    place = next(command for command in said if command.startswith("python3")).split()[2]
    assert not Path(place).exists() and said[-1] == f"rm -f {place}"


def test_a_clock_that_is_wrong_is_seen(server: Server) -> None:
    ahead = "import time; real = time.time; time.time = lambda: real() + 7200; "
    run = "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"

    def fake(command: str) -> str:
        words = command.split()
        return f'python3 -c "{ahead}{run}" {" ".join(words[2:])}' if words[-1] == "clock" else GOOD(command)

    server.change = fake
    answer = ask(server)
    assert answer.offset and 7_199_000 < answer.offset.ahead < 7_201_000


def test_a_host_that_takes_none_of_the_keys_is_told_with_what_it_takes(server: Server) -> None:
    server.lets_in, server.passwords = "", True
    check, state, found, remedy = only(ask(server))
    assert (check, state) == ("way in", "fail")
    assert found == "root@127.0.0.1 takes none of your keys, only a password"
    assert f"ssh-copy-id -p {server.port} root@127.0.0.1" in remedy and "PubkeyAuthentication yes" in remedy


def go_through(server: Server) -> str:
    """The same program as a jump host, known to the owner, who is let in there."""
    known = Path.home() / ".ssh/known_hosts"
    known.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    return f"owner@127.0.0.1:{server.port}"


def test_behind_a_jump_host_it_is_told_all_the_same(server: Server) -> None:
    server.refused, server.passwords, via = ("root",), True, go_through(server)
    check, state, found, remedy = only(ask(server, ssh_via=via))
    assert (check, state) == ("way in", "fail")
    assert found == "root@127.0.0.1 takes none of your keys, only a password"
    assert f"ssh-copy-id -o ProxyJump={via} -p {server.port} root@127.0.0.1" in remedy
    server.refused = ()
    assert ask(server, ssh_via=via).facts
    found = only(ask(server, ssh_via=via, host_key=""))[2]
    assert "its host key is not stated" in found and server.host_key in found


def test_a_host_whose_key_is_not_stated_is_sent_nothing(server: Server) -> None:
    told: list[str] = []

    def change(command: str) -> str:
        told.append(command)
        return command

    server.change = change
    check, _, found, remedy = only(ask(server, host_key=""))
    assert check == "way in" and server.host_key in found and "host_key" in remedy
    assert told == []


def test_another_host_key_is_sent_nothing(server: Server) -> None:
    other = asyncssh.import_private_key(make_ssh_key()[0]).export_public_key().decode()
    check, _, found, _ = only(ask(server, host_key=" ".join(other.split()[:2])))
    assert check == "way in" and "nothing was sent" in found


def test_nobody_there_is_told(server: Server) -> None:
    server.port += 1
    check, _, found, _ = only(ask(server))
    assert check == "way in" and "refused" in found


@pytest.mark.parametrize(
    ("text", "check", "found"),
    [
        ("release=ubuntu 24.04\\narchitecture=amd64\\npython=3.12.3\\n", "release", "ubuntu 24.04 amd64"),
        ("release=debian 12\\narchitecture=arm64\\npython=3.11.2\\n", "release", "debian 12 arm64"),
        ("release=debian 12\\narchitecture=amd64\\npython=\\n", "python3", "not installed"),
    ],
)
def test_what_stands_in_the_way_of_asking_is_all_that_is_told(server: Server, text: str, check: str, found: str) -> None:
    server.change = debian(text)
    said = only(ask(server))
    assert said[0] == check and found in said[2]


def test_no_root_is_told_with_the_way_to_it(server: Server) -> None:
    server.change = lambda command: "echo 'sudo: a password is required' >&2; exit 1" if command == "true" else GOOD(command)
    check, _, found, remedy = only(ask(server))
    assert check == "way in" and "a password is required" in found and "NOPASSWD" in remedy


def test_python_is_installed_where_that_is_wished(server: Server) -> None:
    told: list[str] = []

    def change(command: str) -> str:
        told.append(command)
        if "apt-get install" in command:
            return "true"
        return debian("release=debian 12\\narchitecture=amd64\\npython=\\n")(command)

    server.change = change
    assert ask(server, mend=True).facts
    assert any("apt-get install" in command and "python3" in command for command in told)


def test_nonsense_is_no_answer(server: Server) -> None:
    server.change = lambda command: "echo Killed >&2; exit 137" if command.endswith(" facts") else GOOD(command)
    assert only(ask(server))[0:3] == ("facts", "fail", "Killed")


def test_the_clock_is_read_as_often_as_it_is_told() -> None:
    assert program.TICKS > 1
