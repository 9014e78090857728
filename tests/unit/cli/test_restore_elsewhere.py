"""`restore --from` and `--go-live`: what is refused with nothing changed, what is asked, and in which order nodes do what."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from cli import recovery_file, restore_elsewhere
from cli.__main__ import app
from cli.console import Failure
from cli.nodes import access, backups, elsewhere, restoring
from cli.nodes.access import Answer
from components.model.redact import SecretFilter
from components.model.settings import Settings
from stacks.load import load_deployment, make_deployment

NOW = time.time()
URL = "https://s3.company.test/kept"
NAME = f"{URL} of first"
SECRETS = {"backup_cipher": "the-cipher-of-the-first", "storage_key": "key", "cookie_keys": "a,b", "database_password": "x"}
PASSPHRASE = "a passphrase of the test"
VARIABLES = {"WEBITEL_RECOVERY_PASSPHRASE": PASSPHRASE, "WEBITEL_SOURCE_KEY": "k-of-it", "WEBITEL_SOURCE_SECRET": "s-of-it"}
LOOKED = {
    "problem": "", "leads": True, "stanza": "first-1", "version": "15", "own_version": "15", "earliest": NOW - 86400,
    "latest": NOW - 60, "size": 1 << 20, "free": 1 << 40, "kept": 0, "files": 3, "files_size": 1000, "own_calls": 0,
    "own_size": 1 << 20, "own_files": 0, "files_free": 1 << 40, "begun": {"at": "", "stage": "", "source": ""}, "quiet": None,
}  # fmt: skip


@dataclass
class World:
    """A deployment of one node, what it says, and what was asked of it."""

    folder: Path
    looked: dict[str, Any] = field(default_factory=lambda: dict(LOOKED))
    quiet: dict[str, Any] | None = None
    steps: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    silent: str = ""
    fails: str = ""
    ups: list[dict[str, Any]] = field(default_factory=list)

    async def ask(self, _: object, nodes: list[Any], command: str, __: float, text: str = "") -> dict[str, Answer]:
        words = command.replace("'", "").partition(" restore ")[2].split() or ["true"]
        if self.silent:
            return {node.key: Answer(problem=self.silent) for node in nodes}
        if nodes and words[0] not in ("true", "tell-quiet"):
            self.steps.append(" ".join(words))
        self.texts[words[0]] = text
        if words[0] == self.fails:
            return {node.key: Answer(1, json.dumps({"error": "the disk is full"})) for node in nodes}
        said = {"look": json.dumps(self.looked), "tell-quiet": json.dumps(self.quiet)}.get(words[0], "")
        return {node.key: Answer(0, said) for node in nodes}

    @property
    def file(self) -> Path:
        return self.folder / "recovery"

    def write(self, secrets: dict[str, str], stack: str = "first") -> None:
        self.file.write_bytes(recovery_file.compose(stack, secrets, {"region": "eu", "authority": ""}, PASSPHRASE))

    def run(self, *words: str, **variables: str) -> Any:
        given = ["restore", "local-single", *(words or ("--from", URL, "--recovery", str(self.file), "--yes"))]
        return CliRunner().invoke(app, given, env=VARIABLES | variables)

    def refused(self, *words: str, **variables: str) -> str:
        """What it says; nothing was changed, and nothing of the other bucket stays on the node."""
        result = self.run(*words, **variables)
        assert isinstance(result.exception, Failure), result.output
        assert not self.ups and not [one for one in self.steps if one.split()[0] not in ("source", "look", "forget")]
        assert "source" not in self.steps or self.steps[-1] == "forget"
        return str(result.exception)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setattr(recovery_file, "ROUNDS", 10)
    made.write(SECRETS)
    node = SimpleNamespace(nodes={"all-1": SimpleNamespace(key="all-1")}, hide=SecretFilter())
    own = {"backup": {"url": "https://s3.company.test/own"}, "backup_key": "[secret]", "backup_secret": "[secret]"}
    settings = load_deployment("local-single").settings.model_dump(exclude_unset=True) | own
    deployment = make_deployment(Settings.model_validate(settings), "local-single")
    monkeypatch.setattr(restore_elsewhere, "load_deployment", lambda _: deployment)
    monkeypatch.setattr(restore_elsewhere, "bring_up", lambda *_, **how: made.ups.append(how))
    monkeypatch.setattr(backups, "open_database", lambda _: (node, ["all-1"]))
    for module in (access, restoring):
        monkeypatch.setattr(module, "ask_nodes", made.ask)

    @asynccontextmanager
    async def hold(*_: object) -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(restoring, "hold", hold)
    return made


def at(seconds: float) -> str:
    return datetime.fromtimestamp(NOW + seconds, UTC).strftime("%Y-%m-%d %H:%M:%S+00")


REST = ["ready", "quiet", "stop", "stop-database", "place", "start"]


def test_secrets_of_the_data_come_first_then_the_database_beside_and_it_is_quiet_before_anything_is_in_place(
    world: World,
) -> None:
    result = world.run()
    assert result.exit_code == 0, result.output
    assert world.ups[0]["recovered"] == {"storage_key": "key", "cookie_keys": "a,b"}, "and no other"
    assert world.steps == [
        "source",
        "look",
        *(f"{step} --at end" for step in ("prepare-source", *REST)),
        "recordings-source",
        "settle",
    ]
    assert world.texts["quiet"] == NAME
    sent = json.loads(world.texts["source"])
    assert sent["source"] == {"name": NAME, "stack": "first", "host": "s3.company.test", "port": 443}
    assert "repo1-cipher-pass=the-cipher-of-the-first" in sent["files"]["pgbackrest.conf"]
    assert (
        "/kept/first" not in sent["files"]["pgbackrest.conf"]
        and "repo1-path=/first/postgresql" in sent["files"]["pgbackrest.conf"]
    )
    told = " ".join(result.stdout.split())
    assert "3 recordings" in told and "database of 1 MiB with 0 calls" in told and "It is quiet." in told
    assert "./webitel restore --go-live" in told
    for secret in (*SECRETS.values(), "k-of-it", "s-of-it"):
        assert len(secret) < 4 or secret not in result.output


@pytest.mark.parametrize(
    ("url", "host", "lines", "login"),
    [
        ("gs://kept/a", "storage.googleapis.com", ("repo1-type=gcs", "repo1-gcs-bucket=kept"), "s-of-it\n"),
        ("https://acme.blob.core.windows.net/kept", "acme.blob.core.windows.net", ("repo1-type=azure",), None),
    ],
)
def test_buckets_of_other_languages_are_read_too(
    world: World, url: str, host: str, lines: tuple[str, ...], login: str | None
) -> None:
    words = ("--from", url, "--recovery", str(world.file), "--yes")
    assert "WEBITEL_SOURCE_SECRET" in (told := world.refused(*words, WEBITEL_SOURCE_SECRET="")) and "SOURCE_KEY" not in told
    assert world.run(*words, WEBITEL_SOURCE_KEY="").exit_code == 0
    sent = json.loads(world.texts["source"])
    assert sent["source"] == {"name": f"{url} of first", "stack": "first", "host": host, "port": 443}
    assert {*lines} <= {*sent["files"]["pgbackrest.conf"].splitlines()}
    assert sent["files"].get("login.json") == login
    assert "/etc/webitel" not in sent["files"]["pgbackrest.conf"] + sent["files"]["rclone.conf"]


def test_a_second_is_passed_on_to_all_of_them(world: World) -> None:
    assert world.run("--from", URL, "--recovery", str(world.file), "--at", at(-600), "--yes").exit_code == 0
    wanted = at(-600).removesuffix("+00") + ".000000+00"
    assert {one.partition(" --at ")[2] for one in world.steps if " --at " in one} == {wanted}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--from", "http://s3.company.test/kept"), "--from http://s3.company.test/kept: not a bucket, which is https://"),
        (("--from", "https://10.0.0.1/kept"), "not a bucket"),
        (("--from", URL), "--recovery FILE is needed"),
        (("--from", URL, "--recovery", "/nowhere/file"), "--recovery /nowhere/file: No such file"),
        (("--from", URL, "--at", "yesterday"), "--at yesterday: not a time"),
        (("--from", URL, "--go-live"), "--from and --go-live do not go together"),
        (("--go-live", "--at", at(-60)), "--at does not go with --go-live"),
        (("--discard",), "--discard go with --from only"),
    ],
)
def test_what_cannot_be_is_refused(world: World, words: tuple[str, ...], told: str) -> None:
    assert told in world.refused(*words)


def test_a_lost_key_a_wrong_passphrase_and_another_file_are_told_apart(world: World) -> None:
    assert "its passphrase is another one" in world.refused(WEBITEL_RECOVERY_PASSPHRASE="another passphrase")
    world.write({name: value for name, value in SECRETS.items() if name != "backup_cipher"})
    assert "the key is lost: the file of first has no backup_cipher" in world.refused()
    world.file.write_text("something else")
    assert "not a recovery file" in world.refused()


def test_its_own_place_and_a_deployment_without_a_bucket_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(SECRETS, "local-single")
    said = world.refused("--from", "https://s3.company.test/own", "--recovery", str(world.file))
    assert (
        "is where local-single itself backs up to" in said and "webitel:backup.url = https://s3.company.test/own/second" in said
    )
    monkeypatch.setattr(restore_elsewhere, "load_deployment", load_deployment)
    assert "local-single has no bucket of its own" in world.refused()


@pytest.mark.parametrize(
    ("looked", "told"),
    [
        ({"problem": "there are no backups of a deployment first in https://x"}, "there are no backups of a deployment first"),
        ({"version": "14"}, f"{NAME} has PostgreSQL 14, and local-single 15"),
        ({"free": 1 << 20}, "all-1 has 0.0 GiB free: raise webitel:disk_sizes"),
        ({"files_free": 1 << 20}, "recordings take 0.0 GiB, and all-1 has 0.0 GiB free"),
        ({"own_calls": 5}, "holds data, nothing was changed: confirm with --yes --discard"),
        ({"own_files": 5}, "holds data, nothing was changed: confirm with --yes --discard"),
        ({"leads": False}, "no node leads the database"),
        (
            {"leads": False, "begun": {"at": "end", "stage": "placing", "source": "https://other of b"}},
            "another restore from https://other of b to end was begun",
        ),
    ],
)
def test_what_the_nodes_know_is_refused_before_anything_changes(world: World, looked: dict[str, Any], told: str) -> None:
    world.looked |= looked
    assert told in world.refused()
    assert world.steps[-1] == "forget"


def test_a_second_outside_and_one_that_nobody_confirms_are_refused(world: World) -> None:
    for seconds in (-90000, 600):
        said = world.refused("--from", URL, "--recovery", str(world.file), "--at", at(seconds), "--yes")
        assert f"{NAME} has nothing of that time; it can be from" in said
    assert "confirm with --yes" in world.refused("--from", URL, "--recovery", str(world.file))
    world.silent = "no answer"
    assert "all nodes are needed: all-1: no answer" in world.refused()


def test_data_that_is_there_is_discarded_when_that_is_said_too(world: World) -> None:
    world.looked |= {"own_calls": 5}
    assert world.run("--from", URL, "--recovery", str(world.file), "--yes", "--discard").exit_code == 0


def test_what_was_cut_off_goes_on_without_being_asked_again(world: World) -> None:
    world.looked |= {"leads": False, "begun": {"at": "end", "stage": "placing", "source": NAME}}
    words = ("--from", URL, "--recovery", str(world.file))
    assert world.run(*words).exit_code == 0 and not world.ups
    assert "place --at end" in world.steps and world.steps[-1] == "settle"
    world.steps.clear()
    world.looked |= {
        "leads": True,
        "begun": LOOKED["begun"],
        "quiet": {"since": 1, "source": NAME, "at": "end", "stage": "placed"},
    }
    assert world.run(*words).exit_code == 0
    assert world.steps == ["source", "look", "recordings-source", "settle"], "the database is in its place"


def test_recordings_that_do_not_come_are_told_and_the_quiet_stays(world: World) -> None:
    world.fails = "recordings-source"
    result = world.run()
    assert "all-1: the disk is full\nthe database is in its place. Next: ./webitel restore --from" in str(result.exception)
    assert "settle" not in world.steps


def test_it_goes_live_only_when_somebody_says_so(world: World) -> None:
    assert "is not quiet: nothing to do" in world.run("--go-live").stdout
    world.quiet = {"since": 1.0, "source": NAME, "at": "end", "stage": "whole"}
    assert "confirm with --yes" in world.refused("--go-live")
    result = world.run("--go-live", "--yes")
    assert result.exit_code == 0 and world.steps == ["go-live"]
    assert f"has the trunks, queues, bots and mailboxes of {NAME}" in " ".join(result.stdout.split())
    world.steps.clear()
    world.quiet = world.quiet | {"stage": "begun"}
    assert "has not ended" in world.refused("--go-live", "--yes")
    world.quiet = world.quiet | {"stage": "placed"}
    assert "Not all recordings have come" in world.run("--go-live", "--yes").stdout


@pytest.mark.parametrize(
    ("met", "replaces", "quiet", "told"),
    [
        (("all-1",), False, True, ""),
        ((), False, True, ""),
        (("edge-1",), False, True, "a new machine (all-1) would not be"),
        (("all-1",), True, True, "a new machine would not be"),
        (("edge-1",), True, False, ""),
    ],
)
def test_a_machine_that_would_not_know_that_it_is_quiet_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, met: tuple[str, ...], replaces: bool, quiet: bool, told: str
) -> None:
    world.quiet = {"since": 1.0, "source": NAME, "at": "end", "stage": "whole"} if quiet else None
    node = SimpleNamespace(nodes={key: SimpleNamespace(key=key) for key in met})
    monkeypatch.setattr(access, "list_met", lambda _: [{"inputs": {"key": key}} for key in met])
    monkeypatch.setattr(access, "read_access", lambda _: node)
    engine: Any = SimpleNamespace(stack="local-single", resources=list)
    plan = load_deployment("local-single").plan
    try:
        elsewhere.refuse_new_machines(engine, plan, replaces=replaces)
        said = ""
    except Failure as error:
        said = str(error)
    assert told in said and bool(told) == bool(said)
