"""A node's SSH server on the loopback: it takes the deployment's key only and says what the test wants."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import asyncssh
import pytest

from provider.certificates import make_ssh_key
from provider.handler import Request


@dataclass
class Answer:
    """What a command says: lines of output with a pause before each, error output, exit status."""

    lines: Iterable[str] = ()
    errors: str = ""
    status: int = 0
    pause: float = 0.0


@dataclass
class FakeNode:
    """A node. `commands` and `inputs` are what it was told; `answer` decides what it says; `drops` connections left to cut.

    `logins` are the connections so far.
    """

    private_key: str
    public_key: str
    port: int = 0
    host_key: str = ""
    commands: list[str] = field(default_factory=list)
    inputs: list[bytes] = field(default_factory=list)
    tunnels: list[tuple[str, int]] = field(default_factory=list)
    drops: int = 0
    logins: int = 0
    answer: Callable[[str], Answer] = lambda command: Answer()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def handle(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        command = process.command or ""
        self.commands.append(command)
        self.inputs.append(await process.stdin.read())
        if self.drops and "apply" in command:
            self.drops -= 1
            process.channel.get_connection().abort()
            return
        answer = self.answer(command)
        for line in answer.lines:
            await asyncio.sleep(answer.pause)
            process.stdout.write(f"{line}\n".encode())
        process.stderr.write(answer.errors.encode())
        process.exit(answer.status)


class Gate(asyncssh.SSHServer):
    def __init__(self, node: FakeNode) -> None:
        self._node = node

    def auth_completed(self) -> None:
        self._node.logins += 1

    def connection_requested(self, host: str, port: int, orig_host: str, orig_port: int) -> bool:
        self._node.tunnels.append((host, port))
        return True


class Servers:
    """Servers of one test in a thread of their own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.acceptors: list[asyncssh.SSHAcceptor] = []

    def start(self, node: FakeNode, host_key: str | None = None) -> FakeNode:
        """Serves the node, on its old port if it had one."""
        key = asyncssh.import_private_key(host_key or make_ssh_key()[0])
        node.host_key = key.export_public_key().decode().strip()

        async def listen() -> asyncssh.SSHAcceptor:
            return await asyncssh.listen(
                "127.0.0.1",
                node.port,
                server_factory=lambda: Gate(node),
                server_host_keys=[key],
                authorized_client_keys=asyncssh.import_authorized_keys(node.public_key),
                process_factory=node.handle,
                encoding=None,
            )

        acceptor = asyncio.run_coroutine_threadsafe(listen(), self.loop).result(10)
        self.acceptors.append(acceptor)
        node.port = acceptor.get_port()
        return node

    def stop_last(self) -> None:
        """Ends the server that was started last, and its connections."""
        acceptor = self.acceptors.pop()

        async def end() -> None:
            acceptor.close()
            await acceptor.wait_closed()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)

    def stop(self) -> None:
        while self.acceptors:
            self.stop_last()

        async def end_commands() -> None:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end_commands(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def servers() -> Iterator[Servers]:
    started = Servers()
    yield started
    started.stop()


@pytest.fixture
def deployment_key() -> tuple[str, str]:
    """The deployment's SSH key: private and public."""
    return make_ssh_key()


@pytest.fixture
def new_node(servers: Servers, deployment_key: tuple[str, str]) -> Callable[[], FakeNode]:
    """Starts one more node."""
    return lambda: servers.start(FakeNode(*deployment_key))


@pytest.fixture
def node(new_node: Callable[[], FakeNode]) -> FakeNode:
    return new_node()


class Call(Request):
    """A call of the engine that keeps what was shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.kept: list[str] = []
        super().__init__("urn:pulumi:test::webitel::webitel:index:Any::one", log=self._keep)

    def _keep(self, severity: str, text: str, urn: str, ephemeral: bool) -> None:
        (self.shown if ephemeral else self.kept).append(text)


@pytest.fixture
def call() -> Call:
    return Call()
