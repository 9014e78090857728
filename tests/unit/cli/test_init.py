"""`init`: copying, flags without a terminal, and questions in one, which is a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from cli.__main__ import app
from cli.cloud import place
from cli.cloud.questions import Answers
from cli.show.questions import read_own_address
from components.clouds.registry import CLOUDS
from components.model.clouds.offers import Offers
from stacks import settings as stack_settings
from stacks.load import load_deployment

SALTED = """# yaml-language-server: $schema=schema.json
encryptionsalt: v1:abc
config:
  webitel:cloud: aws
  webitel:tier: basic # three nodes
  webitel:operators: [203.0.113.0/24]
"""
HEAD = "# yaml-language-server: $schema=schema.json\nconfig:\n"
SECONDS = 60.0
"""For an answer of the program, on a machine with much else to do."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one stack file, and nobody's credentials."""
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    monkeypatch.setattr(stack_settings, "STACKS", stacks)
    monkeypatch.setenv("HOME", str(tmp_path))
    for facts in CLOUDS.values():
        for name in [name for names in facts.credentials.variables for name in names]:
            monkeypatch.delenv(name, raising=False)
    (stacks / "Pulumi.aws-basic.yaml").write_text(SALTED)
    return stacks


def run(*arguments: str) -> Result:
    """Run `init`."""
    return CliRunner().invoke(app, ["init", *arguments])


def test_a_copy_names_the_region_and_says_what_to_edit(folder: Path) -> None:
    result = run("acme-voice", "--from", "aws-basic")
    assert result.exit_code == 0, result.output
    written = SALTED.replace("encryptionsalt: v1:abc\n", "") + "  webitel:region: eu-central-1\n"
    assert (folder / "Pulumi.acme-voice.yaml").read_text() == written
    for part in ("webitel:domain", "webitel:operators", "webitel:repository_user", "./webitel plan acme-voice"):
        assert part in result.stdout


def test_a_copy_knows_nothing_of_what_stands_elsewhere(folder: Path) -> None:
    """Else a new deployment would be placed as an old one, and could never have zones on AWS and Azure."""
    own = """  webitel:zone_subnets: false
  webitel:node_zones: {data-1: b}
  webitel:consul_servers: [data-1]
  webitel:kept_disks: [data-3]
"""
    (folder / "Pulumi.aws-old.yaml").write_text(SALTED + own)
    result = run("acme-voice", "--from", "aws-old")
    assert result.exit_code == 0, result.output
    settings = load_deployment("acme-voice").settings
    assert settings.zone_subnets
    assert (settings.node_zones, settings.consul_servers, settings.kept_disks) == ({}, (), ())


def test_the_default_region_of_what_stands_is_another_matter() -> None:
    """Another one would replace every machine of a stack that names none."""
    assert {name: facts.default_region for name, facts in CLOUDS.items() if facts.priced} == {
        "aws": "us-east-1",
        "azure": "westeurope",
        "digitalocean": "fra1",
        "gcp": "europe-west3",
        "hetzner": "fsn1",
    }


def test_it_never_overwrites(folder: Path) -> None:
    result = run("aws-basic", "--from", "aws-basic")
    assert result.exit_code == 1 and "already exists" in str(result.exception)
    assert (folder / "Pulumi.aws-basic.yaml").read_text() == SALTED


@pytest.mark.parametrize("name", ["Acme", "acme_voice", "../acme", "a" * 60])
def test_it_refuses_what_is_no_host_name(folder: Path, name: str) -> None:
    result = run(name, "--from", "aws-basic")
    assert result.exit_code == 1 and "such as aws-basic" in str(result.exception)
    assert [path.name for path in folder.parent.rglob("Pulumi.*")] == ["Pulumi.aws-basic.yaml"]


def test_from_an_unknown_stack(folder: Path) -> None:
    result = run("acme", "--from", "gone")
    assert result.exit_code == 1 and "no stack gone" in str(result.exception)
    assert not (folder / "Pulumi.acme.yaml").exists()


def test_a_copy_takes_no_flags(folder: Path) -> None:
    result = run("acme", "--from", "aws-basic", "--tier", "single")
    assert result.exit_code == 1 and "leave out --tier" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "missing"),
    [
        ([], "--cloud hetzner --tier basic --domain voice.your-company.com --operators YOUR-NETWORK"),
        (["--cloud", "aws", "--tier", "basic", "--domain", "a.company.org"], "acme --operators YOUR-NETWORK, or --from"),
        (["--cloud", "local"], "acme --tier basic, or --from"),
    ],
)
def test_without_a_terminal_the_flags_are_named(folder: Path, words: Sequence[str], missing: str) -> None:
    result = run("acme", *words)
    assert result.exit_code == 1 and missing in str(result.exception), result.exception
    assert not (folder / "Pulumi.acme.yaml").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cloud", "amazon"], "--cloud: webitel:cloud = amazon"),
        (["--cloud", "aws", "--tier", "single", "--region", "europe"], "--region: webitel:region = europe"),
        (["--cloud", "aws", "--tier", "single", "--domain", "example.com"], "an example; use one such as"),
        (
            ["--cloud", "aws", "--tier", "single", "--domain", "a.b.org", "--operators", "0.0.0.0/0"],
            "--operators: webitel:operators",
        ),
        (
            ["--cloud", "aws", "--tier", "single", "--domain", "a.b.org", "--operators", "10.1.1.1/8"],
            "--operators: webitel:operators",
        ),
    ],
)
def test_a_wrong_flag_is_told_as_in_a_file(folder: Path, words: Sequence[str], told: str) -> None:
    result = run("acme", *words)
    assert result.exit_code == 1 and told in str(result.exception), result.exception
    assert not (folder / "Pulumi.acme.yaml").exists()


def test_flags_make_a_file(folder: Path) -> None:
    words = "--cloud hetzner --tier basic --domain voice.company.org --operators 10.1.0.0/16 --operators 10.2.0.0/16"
    result = run("acme", *words.split())
    assert result.exit_code == 0, (result.output, result.exception)
    assert (folder / "Pulumi.acme.yaml").read_text() == (
        f"{HEAD}  webitel:cloud: hetzner\n  webitel:tier: basic\n  webitel:region: nbg1\n  webitel:domain: voice.company.org\n"
        "  webitel:operators:\n    - 10.1.0.0/16\n    - 10.2.0.0/16\n"
    )
    assert "EUR/month" in result.output and "was not asked: no credentials here" in result.output
    assert load_deployment("acme").plan.region == "nbg1"


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("8.8.4.4 50000 22", "8.8.4.4"),
        ("192.168.1.7 50000 22", ""),
        ("fe80::1 50000 22", ""),
        ("", ""),
    ],
)
def test_only_a_public_address_is_offered(said: str, address: str) -> None:
    assert read_own_address({"SSH_CLIENT": said}) == address


def offer(monkeypatch: pytest.MonkeyPatch, setting: str, types: dict[str, list[str]]) -> None:
    """Credentials, and a cloud that has these types."""
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("HCLOUD_TOKEN", "x" * 64)
    monkeypatch.setattr(place, "find_obstacle", lambda plan: "")

    def answer(plan: object, **_: object) -> Answers:
        deployment = load_deployment("acme")
        names = {node.machine_type.name for node in deployment.plan.nodes}
        current = deployment.plan.zone if setting == "zone" else deployment.plan.region
        return Answers("me", Offers(setting, current, {name: sorted(names)[: len(list_)] for name, list_ in types.items()}))

    monkeypatch.setattr(place, "ask_cloud", answer)


ON_AWS = ["acme", "--cloud", "aws", "--tier", "basic", "--domain", "voice.company.org", "--operators", "10.1.0.0/16"]


def test_the_first_zone_with_all_types_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "zone", {"a": ["one"], "b": ["one", "two", "three"], "c": ["one", "two", "three"]})
    result = run(*ON_AWS)
    assert result.exit_code == 0, (result.output, result.exception)
    assert yaml.safe_load((folder / "Pulumi.acme.yaml").read_text())["config"]["webitel:zone"] == "b"
    assert "Zone b" in result.output


def test_zones_of_the_copied_file_are_left_to_its_owner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`zone` beside `zones` would be refused ever after."""
    (folder / "Pulumi.aws-zoned.yaml").write_text(f"{SALTED}  webitel:zones: [a, b]\n  webitel:counts: {{data: 3}}\n")
    offer(monkeypatch, "zone", {"a": ["one"], "b": ["one", "two", "three"], "c": ["one", "two", "three"]})
    result = run("acme", "--from", "aws-zoned")
    assert result.exit_code == 0, (result.output, result.exception)
    assert "webitel:zone:" not in (folder / "Pulumi.acme.yaml").read_text()
    assert "not offered in eu-central-1 zone a" in " ".join(result.output.split())
    offer(monkeypatch, "zone", {"a": ["one", "two", "three"], "b": ["one", "two", "three"]})
    (folder / "Pulumi.acme.yaml").unlink()
    assert "has all machine types in eu-central-1 zone a, b." in " ".join(run("acme", "--from", "aws-zoned").output.split())


def test_a_region_that_cannot_be_leaves_the_file_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "zone", {"a": ["one"]})
    answers = iter(["middle earth", ""])
    monkeypatch.setattr(place, "is_terminal", lambda: True)
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: next(answers))
    result = run(*ON_AWS)
    assert result.exit_code == 0, (result.output, result.exception)
    assert "middle earth" in result.output
    assert load_deployment("acme").plan.region == "eu-central-1"


def test_a_region_without_them_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "zone", {"a": ["one"], "b": []})
    result = run(*ON_AWS)
    assert result.exit_code == 0 and "not offered in eu-central-1 zone a" in " ".join(result.output.split()), result.output
    assert "webitel:zone" not in (folder / "Pulumi.acme.yaml").read_text()


PROGRAM = """
import sys
from pathlib import Path
from stacks import settings
settings.STACKS = Path(sys.argv.pop(1))
from cli.__main__ import main
main()
"""


class Terminal:
    """The command line on a terminal of its own."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.pid, self.master = pty.fork()
        if not self.pid:
            os.environ.update(
                {"TERM": "dumb", "COLUMNS": "110", "PYTHONPATH": str(Path(__file__).resolve().parents[3]), **variables}
            )
            os.execv(sys.executable, [sys.executable, "-P", "-c", PROGRAM, str(folder), "init", *arguments])
        self.shown = ""

    def read(self, word: str) -> str:
        """Wait for a word; what was shown since the last one."""
        until, seen = time.monotonic() + SECONDS, ""
        while word not in seen:
            ready, _, _ = select.select([self.master], [], [], max(until - time.monotonic(), 0))
            assert ready, f"no {word!r} within {SECONDS:g} s: {seen}"
            try:
                seen += os.read(self.master, 4096).decode(errors="replace")
            except OSError as error:
                raise AssertionError(f"ended without {word!r}: {seen}") from error
        self.shown += seen
        return seen

    def answer(self, prompt: str, text: str) -> str:
        """Type an answer once it is asked for; what was shown before."""
        shown = self.read(f"{prompt} [" if prompt[-1:] != ":" else prompt)
        os.write(self.master, f"{text}\n".encode())
        return shown

    def end(self) -> int:
        """Read to the end; its exit status."""
        while True:
            try:
                read = os.read(self.master, 4096)
            except OSError:
                break
            if not read:
                break
            self.shown += read.decode(errors="replace")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_in_a_terminal_everything_is_asked_and_the_price_is_shown(folder: Path) -> None:
    terminal = Terminal(folder, "acme", SSH_CLIENT="8.8.4.4 50000 22")
    assert "hetzner: Hetzner" in terminal.answer("Cloud", "hetzer")
    assert "webitel:cloud = hetzer" in terminal.answer("Cloud", "hetzner")
    assert "extended: about 1,000,000 calls a day" in terminal.answer("Tier", "")
    assert "nbg1" in terminal.answer("Region", "")
    terminal.answer("Public host name:", "example.com")
    assert "an example" in terminal.answer("Public host name:", "voice.company.org")
    assert "8.8.4.4/32 is where you come from" in terminal.answer("Operators", "")
    terminal.answer("Carriers", "185.13.0.0/24 nonsense")
    assert "nonsense" in terminal.answer("Carriers", "185.13.0.0/24, 185.14.0.0/24")
    shown = terminal.read("[Y/n]")
    assert "EUR/month" in shown and "Write stacks/Pulumi.acme.yaml?" in shown
    assert not (folder / "Pulumi.acme.yaml").exists()
    os.write(terminal.master, b"y\n")
    assert terminal.end() == 0, terminal.shown
    assert yaml.safe_load((folder / "Pulumi.acme.yaml").read_text())["config"] == {
        "webitel:cloud": "hetzner",
        "webitel:tier": "single",
        "webitel:region": "nbg1",
        "webitel:domain": "voice.company.org",
        "webitel:operators": ["8.8.4.4/32"],
        "webitel:carriers": ["185.13.0.0/24", "185.14.0.0/24"],
    }
    assert "Next: ./webitel plan acme" in terminal.shown


def test_who_says_no_has_no_file(folder: Path) -> None:
    terminal = Terminal(folder, "acme", "--cloud", "local", "--tier", "single")
    terminal.read("[Y/n]")
    os.write(terminal.master, b"n\n")
    assert terminal.end() == 1
    assert not (folder / "Pulumi.acme.yaml").exists()


def test_who_has_no_public_address_is_offered_none(folder: Path) -> None:
    terminal = Terminal(
        folder, "acme", "--cloud", "aws", "--tier", "single", "--domain", "a.company.org", SSH_CLIENT="10.0.0.7 1 2"
    )
    terminal.answer("Region", "")
    shown = terminal.read("Operators:")
    assert "SSH_CLIENT" not in shown
    os.write(terminal.master, b"\x04")
    assert terminal.end() == 1 and not (folder / "Pulumi.acme.yaml").exists()


@pytest.mark.parametrize(
    ("lines", "left_out"),
    [
        ("webitel:repository_password: {secure: v1:a}", ["webitel:repository_password"]),
        ("webitel:repository_password:\n    secure: v1:a", ["webitel:repository_password"]),
        ("aws:secretKey: {secure: v1:a}\n  aws:region: eu-west-1", ["aws:secretKey"]),
        (
            "webitel:repository_user:\n    secure: v1:a\n  webitel:freeswitch_token:\n    secure: v1:b",
            ["webitel:repository_user", "webitel:freeswitch_token"],
        ),
        ("other:list:\n    - secure: v1:a\n    - plain", ["other:list"]),
        ("other:map: {deep: {deeper: {secure: v1:a}}}", ["other:map"]),
        ('"webitel:repository_password": {"secure": "v1:a"}', ["webitel:repository_password"]),
        ("webitel:repository_password: # the reader's\n    secure: v1:a # old", ["webitel:repository_password"]),
        ("webitel:disk_sizes:\n    data.recordings: 600", []),
        ("webitel:domain: secure.acme.io", []),
    ],
)
def test_init_leaves_out_what_only_the_other_can_decrypt(folder: Path, lines: str, left_out: list[str]) -> None:
    (folder / "Pulumi.aws-basic.yaml").write_text(SALTED + f"  {lines}\n  webitel:time_zone: Europe/Berlin # last\n")
    result = run("acme-voice", "--from", "aws-basic")
    assert result.exit_code == 0, result.output
    written = (folder / "Pulumi.acme-voice.yaml").read_text()
    assert (
        "secure:" not in written
        and "v1:" not in written
        and written.endswith("Europe/Berlin # last\n  webitel:region: eu-central-1\n")
    )
    assert ("Left out" in result.stdout) is bool(left_out)
    for key in left_out:
        assert f"config set --secret {key} --stack acme-voice" in result.stdout and f"{key}:" not in written
    assert "It can be brought up" not in result.stdout


def refuse(*_: object, **__: object) -> None:
    """What a file system of others does."""
    raise PermissionError(13, "Permission denied", "/there")


def test_init_into_a_folder_of_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "write_text", refuse)
    result = run("acme-voice", "--from", "aws-basic")
    assert "stacks/Pulumi.acme-voice.yaml cannot be written: Permission denied" in str(result.exception)
