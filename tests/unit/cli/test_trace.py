"""The capture file of `trace`."""

import asyncio
import io
import stat
from pathlib import Path

import pytest

from cli.console import Failure
from cli.nodes import trace
from cli.nodes.access import Access
from cloud_init.node.ask.trace import RECORD
from tests.plans import load_stack
from tests.unit.cli.fakes import make_node


def test_ports_are_those_of_sip_in_the_clear() -> None:
    assert trace.list_ports() == [5060, 5062, 5080]


def test_whole_records_only() -> None:
    async def read() -> tuple[bytes, dict[str, int]]:
        stream, target, counts = asyncio.StreamReader(), io.BytesIO(), dict[str, int]()
        stream.feed_data(2 * (RECORD.pack(1, 2, 4, 4) + b"SIP!") + RECORD.pack(1, 2, 4, 4) + b"SI")
        stream.feed_eof()
        await trace.read_records(stream, target, counts, "edge-1")
        return target.getvalue(), counts

    assert asyncio.run(read()) == (2 * (RECORD.pack(1, 2, 4, 4) + b"SIP!"), {"edge-1": 2})


def test_the_file_is_its_owners_alone_and_every_node_of_opensips_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = load_stack("local-basic").plan
    access = Access({node.key: make_node(node.key) for node in plan.nodes}, "", "")
    asked: list[str] = []

    async def capture(access: Access, nodes: list[object], command: str, *more: object) -> None:
        asked.append(command)
        assert [getattr(node, "key", "") for node in nodes] == ["edge-1"]

    monkeypatch.setattr(trace, "_capture", capture)
    file = tmp_path / "a.pcap"
    file.write_text("an older one")
    assert trace.capture(access, plan, file, "1001", "", 5, 1 << 20) == (0, [])
    assert "--number=1001" in asked[0] and "--address" not in asked[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes() == trace.FILE_HEAD


class Ended:
    """A connection to a node whose program has ended so."""

    def __init__(self, status: int | None, said: bytes) -> None:
        self.stdout, self.stderr = asyncio.StreamReader(), asyncio.StreamReader()
        self.exit_status = status
        self.stdout.feed_data(RECORD.pack(1, 2, 4, 4) + b"SIP!")
        self.stdout.feed_eof()
        self.stderr.feed_data(said)
        self.stderr.feed_eof()

    async def __aenter__(self) -> "Ended":
        return self

    async def __aexit__(self, *error: object) -> None: ...

    async def start(self, command: str) -> "Ended":
        return self

    async def wait_closed(self) -> None: ...


@pytest.mark.parametrize(
    ("status", "said", "problem", "told"),
    [
        (0, b"trace begins\n", "", ""),
        (0, b"trace begins\nthe size that was given is reached\n", "", "edge-1: the size that was given is reached"),
        (None, b"", "edge-1: the connection was lost", ""),
        (2, b"invalid choice: 'trace'", "edge-1: its program is older than this option. Next: ./webitel up", ""),
    ],
)
def test_why_a_node_gave_less_than_was_asked_is_told(
    status: int | None,
    said: bytes,
    problem: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def connect(access: Access, node: object) -> Ended:
        return Ended(status, said)

    monkeypatch.setattr(trace, "connect", connect)
    access = Access({"edge-1": make_node("edge-1")}, "", "")
    count, problems = trace.capture(access, load_stack("local-basic").plan, tmp_path / "a.pcap", "", "", 5, 1 << 20)
    assert count == 1
    assert "".join(problems).startswith(problem) and bool(problems) == bool(problem)
    assert told in capsys.readouterr().err


def test_a_deployment_whose_edge_was_never_reached_is_told(tmp_path: Path) -> None:
    access = Access({"app-1": make_node("app-1")}, "", "")
    with pytest.raises(Failure, match=r"no node of OpenSIPS was ever reached. Next: ./webitel up local-basic"):
        trace.capture(access, load_stack("local-basic").plan, tmp_path / "a.pcap", "", "", 5, 1 << 20)
