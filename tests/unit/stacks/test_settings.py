"""Reading settings: both ways, and what a wrong stack file is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pulumi
import pytest
import yaml

from stacks import settings as stack_settings
from stacks.load import load_deployment, load_program
from stacks.problems import SET, SettingsError
from stacks.settings import UnknownStackError, list_stacks, secret_settings

CLOUDS = ("local", "aws", "gcp", "azure", "digitalocean", "hetzner", "onprem")
TIERS = ("single", "basic", "extended")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of stack files."""
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    return tmp_path


def write(folder: Path, text: str, stack: str = "try") -> None:
    """Write a stack file with cloud and tier and more lines."""
    lines = "".join(f"  {line}\n" for line in text.splitlines())
    head = "" if "webitel:cloud" in text else "  webitel:cloud: local\n"
    tier = "" if "webitel:tier" in text else "  webitel:tier: basic\n"
    (folder / f"Pulumi.{stack}.yaml").write_text(f"config:\n{head}{tier}{lines}")


def problems(folder: Path, text: str) -> dict[str, str]:
    """What the user reads about a stack file, by setting."""
    write(folder, text)
    with pytest.raises(SettingsError) as caught:
        load_deployment("try")
    found: dict[str, str] = {}
    for problem in caught.value.problems:
        assert str(problem) in str(caught.value)
        found[problem.setting] = "\n".join(filter(None, (found.get(problem.setting), str(problem))))
    return found


def test_the_committed_stacks_are_one_for_each_cloud_and_tier() -> None:
    assert set(list_stacks()) == {f"{cloud}-{tier}" for cloud in CLOUDS for tier in TIERS}


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("tier", TIERS)
def test_committed_stack(cloud: str, tier: str) -> None:
    settings = load_deployment(f"{cloud}-{tier}").settings
    assert (settings.cloud, settings.tier) == (cloud, tier)
    more = {"local": set(), "onprem": {"domain", "operators", "carriers", "hosts"}}
    assert settings.model_fields_set == {"cloud", "tier"} | more.get(cloud, {"domain", "operators", "carriers"})


def test_every_value_as_the_command_line_stores_it(folder: Path) -> None:
    write(
        folder,
        """webitel:operators: '["203.0.113.0/24"]'
webitel:phones: internet
webitel:counts: {app: 2}
webitel:upload_limit_mib: "128"
webitel:disruptive: "true"
webitel:network:
webitel:release: '25.08'
other:setting: left alone""",
    )
    settings = load_deployment("try").settings
    assert [str(network) for network in settings.operators] == ["203.0.113.0/24"]
    assert settings.phones == "internet" and settings.counts == {"app": 2} and settings.upload_limit_mib == 128
    assert settings.disruptive and settings.network is None


def test_all_problems_at_once_with_value_and_example(folder: Path) -> None:
    found = problems(
        folder,
        """webitel:cloud: hetzner
webitel:tier: extendet
webitel:domian: voice.company.com
webitel:operators: 203.0.113.0/24
webitel:carriers: [198.51.100.7/24, nonsense]
webitel:counts: {app: many}
webitel:upload_limit_mib: 1000000
webitel:package_versions: {webitel-engine: 25.10, grafana: 11.6.1}
webitel:release: 25.08""",
    )
    assert set(found) == {
        f"webitel:{name}"
        for name in (
            "tier",
            "domian",
            "operators",
            "carriers",
            "counts.app",
            "upload_limit_mib",
            "release",
            "package_versions.webitel-engine",
        )
    }
    assert "did you mean extended?" in found["webitel:tier"] and "'single'" in found["webitel:tier"]
    assert "did you mean webitel:domain?" in found["webitel:domian"] and "voice.company.com" in found["webitel:domian"]
    assert "must be a list" in found["webitel:operators"] and "[203.0.113.0/24]" in found["webitel:operators"]
    assert "the network is 198.51.100.0/24" in found["webitel:carriers"]
    assert "webitel:carriers = nonsense: is not an IPv4 network" in found["webitel:carriers"]
    assert "{app: 2}" in found["webitel:counts.app"] and "many" in found["webitel:counts.app"]
    assert "4096" in found["webitel:upload_limit_mib"] and "1000000" in found["webitel:upload_limit_mib"]
    assert "quotes" in found["webitel:release"]
    assert 'in quotes, "25.10"' in found["webitel:package_versions.webitel-engine"]


def test_the_planner_speaks_in_the_same_run(folder: Path) -> None:
    found = problems(folder, "webitel:colour: blue\nwebitel:counts: {data: 2}\nwebitel:domain: not a name")
    assert set(found) == {"webitel:colour", "webitel:counts.data", "webitel:domain"}


def test_missing_cloud_is_told_with_what_else_is_wrong(folder: Path) -> None:
    (folder / "Pulumi.try.yaml").write_text("config:\n  webitel:max_connections: lots\n  cloud: aws\n")
    with pytest.raises(SettingsError) as caught:
        load_deployment("try")
    text = str(caught.value)
    assert text.startswith("4 settings need attention")
    for part in ("webitel:cloud", "webitel:tier", "webitel:max_connections = lots", "write webitel:cloud"):
        assert part in text


@pytest.mark.parametrize("text", ["config: [", "config:\n\t- x", "just a line", "- a list", ""])
def test_a_file_that_is_no_stack_file(folder: Path, text: str) -> None:
    (folder / "Pulumi.try.yaml").write_text(text)
    with pytest.raises(SettingsError):
        load_deployment("try")


def test_secrets_are_opaque_and_never_plain(folder: Path) -> None:
    write(folder, "webitel:repository_password: {secure: v1:abc}\nwebitel:repository_user: {secure: v1:abc}")
    settings = load_deployment("try").settings
    assert settings.repository_password == settings.repository_user == SET

    found = problems(folder, "webitel:repository_password: letmein\nwebitel:domain: {secure: v1:abc}")
    assert "letmein" not in "".join(found.values())
    assert "pulumi config set --secret webitel:repository_password" in found["webitel:repository_password"]
    assert "readable" in found["webitel:domain"]


def test_unknown_stack_lists_those_there_are(folder: Path) -> None:
    write(folder, "", "aws-basic")
    write(folder, "", "mine")
    with pytest.raises(UnknownStackError) as caught:
        load_deployment("aws-basci")
    assert "Did you mean aws-basic?" in str(caught.value) and "mine" in str(caught.value)
    assert "./webitel init aws-basci" in str(caught.value)


def given(stack: str, values: dict[str, str], secret: tuple[str, ...] = ()) -> None:
    """Give the running program configuration as the engine does: strings, structures as JSON."""
    pulumi.runtime.settings.configure(pulumi.runtime.Settings("webitel", stack))
    pulumi.runtime.set_all_config(
        {f"webitel:{name}": value for name, value in values.items()}, [f"webitel:{name}" for name in secret]
    )


@pytest.fixture(autouse=True)
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Outputs need an event loop; a test before may have taken the thread's own."""
    made = asyncio.new_event_loop()
    asyncio.set_event_loop(made)
    yield made
    made.close()


@pytest.mark.parametrize("stack", ["local-single", "aws-extended"])
def test_the_program_reads_the_same_settings(stack: str) -> None:
    values = yaml.safe_load(stack_settings.stack_file(stack).read_text())["config"]
    given(
        stack,
        {name.removeprefix("webitel:"): value if isinstance(value, str) else json.dumps(value) for name, value in values.items()},
    )
    assert load_program() == load_deployment(stack)


def test_the_program_reads_defaults_of_the_project_as_unset() -> None:
    declared = yaml.safe_load((stack_settings.STACKS.parent / "Pulumi.yaml").read_text())["config"]
    defaults = {
        name.removeprefix("webitel:"): declaration["default"]
        for name, declaration in declared.items()
        if "default" in declaration
    }
    given(
        "local-single",
        {"cloud": "local", "tier": "single"}
        | {name: value if isinstance(value, str) else json.dumps(value) for name, value in defaults.items()},
    )
    assert load_program() == load_deployment("local-single")


def test_the_program_keeps_secrets_out_of_the_settings(loop: asyncio.AbstractEventLoop) -> None:
    given("local-single", {"cloud": "local", "tier": "single", "freeswitch_token": "pat_1"}, ("freeswitch_token",))
    assert load_program().settings.freeswitch_token == SET
    secrets = secret_settings()
    assert set(secrets) == {"freeswitch_token"}
    assert loop.run_until_complete(secrets["freeswitch_token"].is_secret())
    assert loop.run_until_complete(secrets["freeswitch_token"].future()) == "pat_1"

    given("local-single", {"cloud": "local", "tier": "single", "freeswitch_token": "pat_1"})
    with pytest.raises(SettingsError, match="plain text"):
        load_program()


def test_the_program_is_told_all_problems_too() -> None:
    given("local-single", {"cloud": "local", "tier": "single", "colour": "blue", "operators": '["x"]', "counts": "{"})
    with pytest.raises(SettingsError) as caught:
        load_program()
    assert {problem.setting for problem in caught.value.problems} == {"webitel:colour", "webitel:operators", "webitel:counts"}
