"""What a rollout prints where nobody watches."""

import pytest

from cli.engine import live
from cli.engine.events import Rollout, Row


def test_a_step_is_printed_once_then_every_ten_seconds_with_its_count(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    now = [0.0]
    monkeypatch.setattr("cli.engine.live.err.print", lines.append)
    monkeypatch.setattr("time.time", lambda: now[0])
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    row = Row("db-1")
    with live.display(Rollout([]), live=False) as display:
        for second in range(23):
            now[0] = second
            row.steps.append((second, f"packages {second}/30"))
            display.update(row)
        for step in ("start consul", "start consul", "packages 23/30"):
            row.steps.append((now[0], step))
            display.update(row)
    assert [line.split("  ")[-1] for line in lines] == ["packages 0/30", "packages 10/30", "packages 20/30", "start consul"]


def test_steps_that_come_in_turn_are_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("cli.engine.live.err.print", lines.append)
    row, steps = Row("db-1"), ("installing packages: Starting webitel-install.service", "waiting for cloud-init")
    with live.display(Rollout([]), live=False) as display:
        for second in range(60):
            row.steps.append((second, steps[second % 2]))
            display.update(row)
    assert len(lines) == 2, lines
