"""How nodes keep other runs away while a restore works on them."""

import asyncio

import pytest

from cli.console import Failure
from cli.nodes import restoring
from cli.nodes.access import Access, NodeAccess
from tests.unit.cli.fakes import make_node

ACCESS = Access({key: make_node(key) for key in ("data-1", "edge-1")}, "", "")


class Held:
    """A connection to a node whose program says that, and stays or ends."""

    def __init__(self, said: bytes, errors: bytes = b"") -> None:
        self.said, self.errors = said, errors
        self.commands: list[str] = []
        self.open = True

    async def __aenter__(self) -> "Held":
        return self

    async def __aexit__(self, *error: object) -> None: ...

    async def start(self, command: str) -> "Held":
        self.commands.append(command)
        self.stdout, self.stderr = asyncio.StreamReader(), asyncio.StreamReader()
        self.stdout.feed_data(self.said)
        if self.said != b"held\n":
            self.stdout.feed_eof()
        self.stderr.feed_data(self.errors)
        self.stderr.feed_eof()
        return self

    def close(self) -> None:
        self.open = False


def hold(monkeypatch: pytest.MonkeyPatch, said: dict[str, Held]) -> list[bool]:
    """Hold the nodes; return which were held meanwhile."""

    async def connect(_: Access, node: NodeAccess) -> Held:
        return said[node.key]

    async def run() -> list[bool]:
        async with restoring.hold(ACCESS, list(ACCESS.nodes), "2026-11-29 13:45:00+00"):
            return [one.open for one in said.values()]

    monkeypatch.setattr(restoring, "connect", connect)
    return asyncio.run(run())


def test_every_node_is_held_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"data-1": Held(b"held\n"), "edge-1": Held(b"held\n")}
    assert hold(monkeypatch, said) == [True, True]
    assert not any(one.open for one in said.values())
    assert "restore hold --at '2026-11-29 13:45:00+00'" in said["edge-1"].commands[0]


@pytest.mark.parametrize(
    ("output", "errors", "told"),
    [
        (b'{"error": "up is at work"}\n', b"", "nothing was stopped: edge-1: up is at work"),
        (b"", b"invalid choice: 'hold'", "edge-1: its program is older than this option. Next: ./webitel up"),
        (b"", b"", "edge-1: it ended"),
    ],
)
def test_where_one_is_not_the_others_are_let_go(monkeypatch: pytest.MonkeyPatch, output: bytes, errors: bytes, told: str) -> None:
    said = {"data-1": Held(b"held\n"), "edge-1": Held(output, errors)}
    with pytest.raises(Failure, match="nothing was stopped") as raised:
        hold(monkeypatch, said)
    assert told in str(raised.value) and not said["data-1"].open
