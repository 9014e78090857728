"""What `hosts check --apply` asks of which host."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from cli.hosts import check
from cli.hosts.across import Offset
from cli.hosts.ask import Answer
from cli.hosts.check import How
from cli.hosts.wish import Wish
from components.model.settings import Settings
from stacks.load import make_deployment
from tests.unit.cli.host_facts import FACTS, SETTINGS, make_wishes

AHEAD_MS = 7_200_000.0
OTHER = replace(
    FACTS,
    system=replace(FACTS.system, machine_id="b" * 32, host_keys=("ssh-ed25519 AAAA2",)),  # type: ignore[type-var]
    names=replace(FACTS.names, host="app"),  # type: ignore[type-var]
)


@dataclass
class Host:
    """A host that is as wished but for its clock, until its time is mended."""

    wish: Wish
    ahead: float
    mended: list[str] = field(default_factory=list)

    async def ask(self, *, measure: bool, mend: bool = False) -> Answer:
        facts = FACTS if self.wish.key == "data-1" else OTHER
        return Answer(facts=facts, offset=Offset(0.0 if self.mended else self.ahead, 1.0))

    async def mend(self, check: str) -> str:
        self.mended.append(check)
        return ""

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(("ahead", "mended"), [(AHEAD_MS, ["time"]), (1.0, [])])
def test_clocks_that_are_apart_are_mended_though_each_host_calls_itself_in_step(
    ahead: float,
    mended: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wishes = make_wishes()
    hosts = [Host(wishes["data-1"], 0.0), Host(wishes["app-1"], ahead)]
    conversations = iter(hosts)
    monkeypatch.setattr(check, "Conversation", lambda wish, settings: next(conversations))
    monkeypatch.setattr(check, "list_wishes", lambda plan, settings: [one.wish for one in hosts])
    settings = Settings.model_validate(SETTINGS)
    told: list[str] = []
    found = check.check_hosts(make_deployment(settings, "given-basic").plan, settings, How(apply=True), told.append)
    assert [one.mended for one in hosts] == [mended, mended]
    assert [one.state for one in found if one.check == "clocks"] == ["pass"]
    assert told == [f"  {one.wish.key}: time: mended" for one in hosts if mended]
