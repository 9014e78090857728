"""`scale`: what is refused before anything is touched, and what goes with a leaving node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from cli.commands import scale
from cli.console import Failure
from components.model import resource_types
from components.model.plan import Plan
from components.model.settings import Settings
from stacks import settings as stack_settings
from tests.plans import make_plan

FILE = "config:\n  webitel:cloud: local\n  webitel:tier: extended # ours\n  webitel:counts: {db: 3, media: 3}\n"
PARENT = "urn:pulumi:s::webitel::webitel:index:Cloud$webitel:index:Node::"


def resource(kind: str, name: str, group: str = "", **more: Any) -> dict[str, Any]:
    """A resource of the state."""
    return {"type": kind, "urn": f"urn:pulumi:s::webitel::{kind}::{name}", "parent": PARENT + group, **more}


RESOURCES = [
    *({"type": resource_types.NODE, "urn": f"{PARENT}{key}"} for key in ("db-1", "db-2", "db-3", "media-3", "media-10")),
    *(resource("cloud:Machine", key, key) for key in ("db-1", "db-2", "db-3", "media-3", "media-10")),
    resource("cloud:Disk", "db-3-database", "db-3", protect=True),
    resource("cloud:DiskAttachment", "db-3-database", "db-3"),
    resource("cloud:Address", "db-3", "db-3", protect=True),
    resource("cloud:Disk", "db-1-database", "db-1", protect=True),
]


class FakeEngine:
    """A backend with those resources; remembers what was run."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, ...]] = []
        self.left = RESOURCES
        self.allowed: list[bool] = []

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def exists(self) -> bool:
        return True

    def resources(self) -> list[dict[str, Any]]:
        return self.left

    def run(self, *arguments: str) -> str:
        self.ran.append(arguments)
        return ""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """A stack file, and an engine that only remembers; `up` remembers the file as it was then."""
    fake = FakeEngine()
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    (tmp_path / "Pulumi.s.yaml").write_text(FILE)
    monkeypatch.setattr("cli.engine.engine.open_engine", lambda stack: fake)

    def bring_up(stack: str, yes: bool, disruptive: bool = False, again: str = "", ask: bool = True) -> None:
        fake.ran.append(("up", (tmp_path / "Pulumi.s.yaml").read_text()))
        fake.allowed.append(disruptive)

    monkeypatch.setattr(scale, "bring_up", bring_up)
    return fake


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(app, ["scale", *arguments, "s"])


@pytest.mark.parametrize(
    ("role", "count", "words"),
    [
        ("sip", "3", "OpenSIPS cannot run twice yet"),
        ("storage", "2", "Storage runs on the first node only"),
        ("db", "2", "a cluster of 2 cannot lose a node"),
        ("media", "1", "fewer than the tier's; use 2 or more"),
        ("media", "101", "use fewer than 100"),
        ("medai", "2", "did you mean media?"),
    ],
)
def test_refused_before_anything_happens(engine: FakeEngine, role: str, count: str, words: str) -> None:
    result = run(role, count, "--yes")
    assert result.exit_code == 1 and words in str(result.exception)
    assert engine.ran == []


def test_the_public_address_of_sip_is_not_given_up_unseen() -> None:
    def plan(**more: object) -> Plan:
        return make_plan(Settings.model_validate({"cloud": "aws", "tier": "basic", **more}), "s")

    pair, alone = plan(counts={"edge": 2}), plan()
    with pytest.raises(Failure, match=r"keep it with webitel:sip_address: 10\.20\.128\.39"):
        scale.refuse_losing_address(pair, alone)
    scale.refuse_losing_address(pair, plan(sip_address=pair.sip_address))
    scale.refuse_losing_address(alone, alone)


def test_raising_changes_the_file_and_goes_up(engine: FakeEngine) -> None:
    assert run("web", "2", "--yes").exit_code == 0
    assert engine.ran == [("up", FILE.replace("media: 3}", "media: 3, web: 2}"))]


def test_lowering_asks_first(engine: FakeEngine) -> None:
    refusal = run("db", "1").exception
    assert isinstance(refusal, Failure) and "remove db-2, db-3 with their addresses; confirm with --yes" in str(refusal)
    assert engine.ran == []


DISK, ADDRESS = (one["urn"] for one in RESOURCES if one.get("parent") == PARENT + "db-3" and one.get("protect"))
LOWERED = FILE.replace("db: 3", "db: 1")
KEPT = LOWERED + "  webitel:kept_disks: [db-3]\n"


def test_lowering_lets_them_leave_first_and_keeps_their_disks(engine: FakeEngine) -> None:
    result = run("db", "1", "--yes")
    assert result.exit_code == 0, result.exception
    assert engine.ran == [
        ("up", FILE + "  webitel:leaving: [db-2, db-3]\n"),
        ("state", "unprotect", ADDRESS, "--yes"),
        ("up", KEPT),
    ]
    told = " ".join(result.stdout.split())
    assert "Kept with their data: db-3-database. A later ./webitel scale db uses them again" in told
    assert "./webitel scale db 1 s --delete-data deletes them" in told


@pytest.mark.parametrize("words", [[], ["--disruptive"]])
def test_both_of_its_rollouts_may_drop_calls_or_neither(engine: FakeEngine, words: list[str]) -> None:
    assert run("db", "1", "--yes", *words).exit_code == 0
    assert engine.allowed == [bool(words)] * 2


def test_with_their_data_when_that_was_said_too(engine: FakeEngine) -> None:
    assert run("db", "1", "--yes", "--delete-data").exit_code == 0
    assert engine.ran[1:] == [("state", "unprotect", DISK, ADDRESS, "--yes"), ("up", LOWERED)]


@pytest.fixture
def gone(engine: FakeEngine, tmp_path: Path) -> FakeEngine:
    """Lowered before: of db-3 only its disk is left."""
    (tmp_path / "Pulumi.s.yaml").write_text(KEPT)
    engine.left = [
        {"type": resource_types.NODE, "urn": f"{PARENT}db-1"},
        resource("cloud:Machine", "db-1", "db-1"),
        {"type": resource_types.NODE, "urn": f"{PARENT}db-3"},
        resource("cloud:Disk", "db-3-database", "db-3", protect=True),
    ]
    return engine


def test_raised_again_they_are_taken_again(gone: FakeEngine) -> None:
    result = run("db", "3")
    assert "use the kept disks of db-3 again, and make a database on them a copy of" in str(result.exception)
    assert gone.ran == []
    assert run("db", "3", "--yes").exit_code == 0
    assert gone.ran == [("up", FILE)]


def test_kept_disks_of_a_role_stay_when_another_one_is_scaled(gone: FakeEngine) -> None:
    assert run("web", "2", "--yes").exit_code == 0
    assert gone.ran == [("up", KEPT.replace("media: 3}", "media: 3, web: 2}"))]


def test_kept_disks_are_deleted_later(gone: FakeEngine) -> None:
    assert "delete the data on db-3-database; confirm with --yes" in str(run("db", "1", "--delete-data").exception)
    assert gone.ran == []
    assert run("db", "1", "--yes").exit_code == 0
    assert gone.ran == [("up", KEPT)]
    gone.ran.clear()
    assert run("db", "1", "--yes", "--delete-data").exit_code == 0
    assert gone.ran == [("state", "unprotect", DISK, "--yes"), ("up", LOWERED)]


def test_what_was_cut_off_is_resumed(engine: FakeEngine, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.s.yaml"
    file.write_text(FILE + "  webitel:leaving: [db-2, db-3]\n")
    assert run("db", "1", "--yes", "--delete-data").exit_code == 0
    assert json.dumps(engine.ran).count("leaving") == 1
    # The count was dropped, but machines beyond it are still there: nobody has to leave a second time.
    engine.ran.clear()
    assert run("db", "1", "--yes", "--delete-data").exit_code == 0
    assert [entry[0] for entry in engine.ran] == ["state", "up"]
    assert "leaving" not in file.read_text()


def test_node_ten_is_behind_node_three(engine: FakeEngine) -> None:
    assert scale.find_beyond("s", "media", 2).nodes == ("media-3", "media-10")
