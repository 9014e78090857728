"""What a PostgreSQL member may start with: its own data, none, or those of before it left its cluster."""

import json
import pathlib
import subprocess
from typing import Any

import pytest

from cloud_init.node.ask.consul import ConsulError
from cloud_init.node.ask.view import View
from cloud_init.node.clusters import database_data
from cloud_init.node.system import Unhealthy
from tests.unit.node.entries import manifest, probe, wrong

MEMBERS = [{"key": f"db-{n}", "name": f"s-db-{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3)]
OURS = "7412345678901234567"


class Stand:
    """A node's data folder; `keys` is what Consul holds, `identifier` what the data says of itself."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.data = folder / "postgresql" / "15"
        self.mark = folder / "postgresql" / "15.left"
        self.keys: dict[str, str] = {}
        self.identifier = OURS
        self.end = "00000001/000000000000002A"
        self.find_end = database_data.find_end

    def fill(self) -> None:
        self.data.mkdir(parents=True)
        (self.data / "PG_VERSION").write_text("15\n")

    def ask(self, n: int, members: int = 3) -> str:
        own = manifest(key=f"db-{n}", node=f"s-db-{n}", clusters={"postgresql": MEMBERS[:members]})
        return wrong(database_data.may_start, probe(), View(own))


@pytest.fixture
def stand(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    made = Stand(tmp_path)
    config = tmp_path / "config.yml"
    config.write_text(f"postgresql:\n  data_dir: {made.data}\n  bin_dir: /x\n")
    monkeypatch.setattr(database_data, "CONFIG", config)
    monkeypatch.setattr(database_data, "find_key", lambda key: {"holder": made.keys.get(key, ""), "session": ""})
    monkeypatch.setattr(
        database_data,
        "list_keys",
        lambda prefix: {key.removeprefix(prefix): {"Value": value} for key, value in made.keys.items() if key.startswith(prefix)},
    )

    def call(method: str, path: str, body: str = "") -> None:
        key = path.removeprefix("/v1/kv/")
        if method == "PUT":
            made.keys[key] = body
        else:
            made.keys.pop(key)

    monkeypatch.setattr(database_data, "call", call)
    for session in (database_data._blank, database_data._ends):
        monkeypatch.setattr(session, "hold", lambda key, value: made.keys.update({key: value}))
    monkeypatch.setattr(database_data, "find_end", lambda data: made.end)
    monkeypatch.setattr(
        database_data,
        "run",
        lambda words, seconds: subprocess.CompletedProcess(
            words, 0, f"pg_control version number:            1300\nDatabase system identifier:           {made.identifier}\n", ""
        ),
    )
    return made


def test_only_the_first_member_begins_and_only_when_nobody_has_data(stand: Stand) -> None:
    assert "it is unknown whether db-2 and db-3 have some" in stand.ask(1)
    assert "none of db-1 and db-3 has begun" in stand.ask(2)
    assert "whether db-3 have some" in stand.ask(1)
    stand.ask(3)
    assert stand.ask(1) == ""
    assert stand.ask(2)
    stand.keys["service/webitel/initialize"] = OURS
    assert stand.ask(2) == ""


def test_alone_it_begins_at_once(stand: Stand) -> None:
    assert stand.ask(1, members=1) == ""
    assert stand.keys == {}


def test_own_data_starts_at_once_where_the_cluster_is_known_or_nobody_else_there(stand: Stand) -> None:
    stand.fill()
    assert stand.ask(1, members=1) == "" and stand.keys == {}
    stand.keys["service/webitel/initialize"] = OURS
    assert stand.ask(3) == ""


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({}, "it is unknown whether the data of db-1 and db-2 is newer than this member's"),
        ({"ends/db-1": "00000001/0000000000000029"}, "whether the data of db-2 is newer"),
        (
            {"ends/db-1": "00000001/0000000000000029", "ends/db-2": "00000001/000000000000002B"},
            "of db-2 is newer than this member's",
        ),
        # As far as another one: only one of them may begin.
        (
            {"ends/db-1": "00000001/000000000000002A", "ends/db-2": "00000001/0000000000000029"},
            "of db-1 is newer than this member's",
        ),
        # A time line that came after ours holds all that was acknowledged, however far ours went on.
        ({"ends/db-1": "00000002/0000000000000001", "blank/db-2": ""}, "of db-1 is newer than this member's"),
        ({"ends/db-1": "00000001/0000000000000029", "blank/db-2": ""}, ""),
        ({"ends/db-1": "00000001/0000000000000029", "ends/db-2": ""}, ""),
    ],
)
def test_after_a_destroy_the_newest_data_begin(stand: Stand, others: dict[str, str], said: str) -> None:
    stand.fill()
    stand.keys = {f"webitel/postgresql/{key}": value for key, value in others.items()}
    answer = stand.ask(3)
    assert said in answer and bool(said) == bool(answer)
    assert stand.keys["webitel/postgresql/ends/db-3"] == stand.end


def test_a_person_may_have_a_member_begin(stand: Stand) -> None:
    stand.fill()
    mark = stand.data.with_name("15.lead")
    assert f"touch {mark}" in stand.ask(3)
    for keys in ({}, {"service/webitel/initialize": OURS}):
        mark.touch()
        stand.keys = keys
        assert stand.ask(3) == ""
        assert not mark.exists()


def test_an_end_that_cannot_be_read_is_told_and_not_taken_for_the_oldest(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_data, "find_end", stand.find_end.__wrapped__)
    stand.fill()
    said = stand.ask(3)
    assert f"{stand.data} has no readable log: 0 files in pg_wal; to begin with this member's data: touch" in said
    assert stand.keys == {}


def test_one_that_is_no_member_and_has_no_data_begins_nothing(stand: Stand) -> None:
    assert "has begun the database" in stand.ask(3, members=2)


def test_data_of_before_it_left_waits_for_a_leader_and_is_given_up(stand: Stand) -> None:
    stand.fill()
    database_data.mark_left(manifest(key="db-3"))
    assert "no leader to copy from; to use it, delete" in stand.ask(3)
    assert stand.keys == {"webitel/postgresql/ends/db-3": ""}
    stand.keys["service/webitel/initialize"] = OURS
    assert "no leader" in stand.ask(3)
    assert stand.data.exists()
    stand.keys["service/webitel/leader"] = "db-1"
    assert stand.ask(3) == ""
    assert list(stand.data.parent.iterdir()) == []


def test_a_member_that_a_restore_left_out_gives_up_what_it_had_and_is_left_out_no_longer(stand: Stand) -> None:
    stand.fill()
    stand.keys["service/webitel/members/db-1"] = "{}"
    database_data.leave_out(["db-3"], "2026-11-29 13:45:00+00", leads=False)
    # Consul knows the cluster: without the note it would start with what it has.
    stand.keys["service/webitel/initialize"] = OURS
    assert "no leader to copy from" in stand.ask(3)
    assert stand.data.exists() and stand.mark.exists()
    assert stand.ask(3, members=1).startswith(str(stand.data)), "it stays so whatever becomes of Consul"
    stand.keys["service/webitel/leader"] = "db-1"
    assert stand.ask(3) == ""
    assert list(stand.data.parent.iterdir()) == []
    assert "webitel/postgresql/left-out/db-3" not in stand.keys


def test_a_new_machine_in_its_place_is_not_left_out(stand: Stand) -> None:
    database_data.leave_out(["db-3"], "2026-11-29 13:45:00+00", leads=False)
    stand.keys["service/webitel/initialize"] = OURS
    assert stand.ask(3) == ""
    stand.fill()
    assert stand.ask(3) == "" and stand.data.exists()


def test_a_member_that_is_at_work_is_not_left_out(stand: Stand) -> None:
    stand.keys["service/webitel/members/db-3"] = "{}"
    with pytest.raises(Unhealthy, match="the database on db-3 is at work"):
        database_data.leave_out(["db-2", "db-3"], "2026-11-29 13:45:00+00", leads=False)
    assert list(stand.keys) == ["service/webitel/members/db-3"]
    database_data.leave_out(["db-2", "db-3"], "2026-11-29 13:45:00+00", leads=True)
    assert [key for key in stand.keys if "left-out" in key] == ["webitel/postgresql/left-out/db-2"]


def test_a_deletion_that_was_cut_off_is_ended(stand: Stand) -> None:
    (stand.data.parent / "15.gone" / "base").mkdir(parents=True)
    assert stand.ask(1, members=1) == ""
    assert list(stand.data.parent.iterdir()) == []


def test_data_of_another_database_is_left_alone(stand: Stand) -> None:
    stand.fill()
    database_data.mark_left(manifest(key="db-3"))
    stand.keys |= {"service/webitel/initialize": "7999", "service/webitel/leader": "db-1"}
    assert f"another database ({OURS}) than the one that db-1 leads (7999): move it away" in stand.ask(3)
    assert stand.data.exists()


def test_without_consul_it_waits(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(key: str) -> Any:
        raise ConsulError("Consul agent: connection refused")

    monkeypatch.setattr(database_data, "find_key", fail)
    assert stand.ask(1) == "Consul agent: connection refused"


def test_nothing_starts_while_a_restored_database_and_the_former_one_change_places(stand: Stand) -> None:
    stand.keys["service/webitel/initialize"] = OURS
    stand.data.parent.mkdir(parents=True)
    mark = database_data.restore_mark(stand.data)
    at = "2026-11-29 13:45:00.000000+00"
    mark.write_text(json.dumps({"at": at, "stage": database_data.PLACING}))
    assert f"goes on with ./webitel restore --at '{at}'" in stand.ask(1)
    stand.fill()
    assert "changed places" in stand.ask(1), "it may be the former one"
    mark.write_text(json.dumps({"at": at, "stage": "placed"}))
    assert stand.ask(1) == ""
