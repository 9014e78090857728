"""The last look of `up`: a node that is busy for a moment is asked again, one that is not healthy is not waited for long."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli.nodes.access import Access
from cli.nodes.reports import SETTLING_LOOKS, ask_settled_status
from components.model.report import NodeReport, is_healthy


class Nodes:
    """Answers in turn, the last one for ever."""

    def __init__(self, *healthy: bool) -> None:
        self.healthy = healthy
        self.asked = 0

    def ask(self, _: Access) -> dict[str, NodeReport]:
        state = self.healthy[min(self.asked, len(self.healthy) - 1)]
        self.asked += 1
        return {"data-2": NodeReport(node="example-data-2", key="data-2", healthy=state)}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    waited: list[float] = []
    monkeypatch.setattr("cli.nodes.reports.time.sleep", waited.append)
    yield waited


def ask(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr("cli.nodes.reports.ask_status", nodes.ask)
    return is_healthy(ask_settled_status(Access.__new__(Access)))


def test_healthy_nodes_are_asked_once(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    nodes = Nodes(True)
    assert ask(nodes, monkeypatch)
    assert (nodes.asked, pauses) == (1, [])


def test_a_node_that_was_busy_is_asked_again(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    nodes = Nodes(False, False, True)
    assert ask(nodes, monkeypatch)
    assert nodes.asked == 3 and len(pauses) == 2


def test_one_that_stays_unhealthy_is_said_so(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    nodes = Nodes(False)
    assert not ask(nodes, monkeypatch)
    assert nodes.asked == 1 + SETTLING_LOOKS
