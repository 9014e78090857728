"""What the load of a drill says, as its reader takes it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cli.drills.load import NEAR, Writer
from cli.nodes.access import Access, NodeAccess
from tests.unit.cli.fakes import make_node


def read(*lines: str) -> Writer:
    """A writer that has read these lines to their end."""

    async def say() -> AsyncIterator[bytes]:
        for line in lines:
            yield line.encode()

    writer = Writer(NEAR, make_node("app-1"))
    writer._process = cast(Any, SimpleNamespace(stdout=say()))
    asyncio.run(writer._read())
    return writer


def row(number: int) -> str:
    return json.dumps({"t": 1000.0 + number, "kind": "row", "n": number}) + "\n"


def test_a_line_that_is_not_understood_is_kept_and_the_count_goes_on() -> None:
    writer = read(row(1), "what is this\n", row(2), json.dumps({"t": 1003, "kind": "row", "error": "gone"}) + "\n")
    assert list(writer.acknowledged["row"]) == [1, 2]
    assert writer.said == {"line": "what is this", "row": "gone"}


def test_the_end_of_the_stream_is_no_line() -> None:
    assert read(row(1), "").said == {}


def test_what_was_written_alone_is_read_with_the_nodes_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    async def run_script(access: Access, node: NodeAccess, script: str, seconds: float = 30) -> str:
        ran.append(script)
        return f"{time.time() + 1000}\n" if "systemd-run" in script else row(1) + row(2)

    monkeypatch.setattr("cli.drills.load.run_script", run_script)
    writer, access = Writer(NEAR, make_node("data-2")), Access({}, "", "")
    asyncio.run(writer.start_alone(access))
    asyncio.run(writer.stop_alone(access))
    assert "load write --writer near" in ran[0] and ran[0].endswith("date +%s.%N") and "systemctl stop" in ran[1]
    assert {number: round(moment) for number, moment in writer.acknowledged["row"].items()} == {1: 1, 2: 2}
