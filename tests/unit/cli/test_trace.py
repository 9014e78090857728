"""The capture file of `trace`."""

import asyncio
import io
import stat
from pathlib import Path

import pytest

from cli.nodes import trace
from cli.nodes.access import Access
from cloud_init.node.ask.trace import RECORD
from stacks.load import load_deployment
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
    plan = load_deployment("local-basic").plan
    access = Access({node.key: make_node(node.key) for node in plan.nodes}, "", "")
    asked: list[str] = []

    async def capture(access: Access, nodes: list[object], command: str, *more: object) -> list[str]:
        asked.append(command)
        assert [getattr(node, "key", "") for node in nodes] == ["edge-1"]
        return []

    monkeypatch.setattr(trace, "_capture", capture)
    file = tmp_path / "a.pcap"
    file.write_text("an older one")
    assert trace.capture(access, plan, file, "1001", "", 5, 1 << 20) == (0, [])
    assert "--number=1001" in asked[0] and "--address" not in asked[0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes() == trace.FILE_HEAD
