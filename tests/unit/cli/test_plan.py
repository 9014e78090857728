"""`plan`: fast, without Pulumi, and everything on the screen."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.show.plan import describe_address, describe_buckets, describe_openings, format_calls
from components.model.plan import Opening
from components.model.settings import Settings
from stacks import settings
from stacks.load import find_facts
from stacks.settings import list_stacks
from tests.plans import make_plan

ROOT = Path(__file__).resolve().parents[3]
HEAVY = ("pulumi", "grpc", "asyncssh", "cryptography", "jinja2", "incus")
GENEROUS_SECONDS = 4.0
"""The budget is 1 s; a loaded machine must not fail the test."""


def run(*arguments: str) -> str:
    """What a command prints; it must succeed."""
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_plan_imports_nothing_heavy_and_is_fast() -> None:
    code = (
        "import sys; from cli.__main__ import main; sys.argv[1:] = ['plan', 'aws-extended'];\n"
        "try: main()\nexcept SystemExit as end: assert not end.code\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    # The processor's seconds: what runs beside this test takes no part in them.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT), "PATH": ""}
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < GENEROUS_SECONDS
    assert "aws-extended-sip-1" in done.stdout
    assert not [name for name in HEAVY if f"'{name}'" in done.stderr]


@pytest.mark.parametrize("stack", list_stacks())
def test_every_committed_stack(stack: str) -> None:
    document = json.loads(run("plan", stack, "--json"))
    assert set(document) == {
        "stack",
        "cloud",
        "tier",
        "region",
        "sip_address",
        "sip_outside",
        "nodes",
        "kept_disks",
        "openings",
        "bill",
        "capacity",
        "monthly_price",
        "warnings",
    }
    text = run("plan", stack)
    for node in document["nodes"]:
        names = ([node["name"]], [node["name"].removeprefix(f"{stack}-")])
        line = next(line for line in text.splitlines() if line.split()[:1] in names)
        assert node["machine_type"] in line and f" {node['memory_gib']:g} " in line
    assert f"Next: ./webitel up {stack}" in text
    assert ("to be set before up" in text) == (document["cloud"] != "local")
    for line in document["bill"]:
        assert any(shown.split()[:1] == [line["what"]] and line["as_of"] in shown for shown in text.splitlines()), line
    assert document["monthly_price"]["amount"] is not None, "no tier's price is unknown"
    facts = find_facts(document["cloud"])
    assert ("Price list of" in text) is facts.priced
    assert ("taken of your hosts" in text) is (facts.in_earnest and not facts.priced)


def test_lines_of_nodes_are_aligned() -> None:
    lines = run("plan", "hetzner-extended").splitlines()
    table = [line for line in lines if line.startswith((" node ", " hetzner-extended-"))]
    column = table[0].index("private")
    assert len(table) == 8 and all(line[column:].startswith(("private", "10.")) for line in table)


def test_all_shows_what_is_open_between_nodes() -> None:
    short, long = run("plan", "aws-basic"), run("plan", "aws-basic", "--all")
    assert "(--all shows them)" in short and "(--all shows them)" not in long
    assert "rabbitmq" in long and "ways out" in long


def test_recordings_are_where_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "STACKS", tmp_path)
    (tmp_path / "Pulumi.x.yaml").write_text(
        "config:\n  webitel:cloud: aws\n  webitel:tier: basic\n  webitel:recordings_share: {source: '10.3.0.4:/webitel'}\n"
    )
    text = run("plan", "x")
    assert "on 10.3.0.4:/webitel, which you run: 41 GiB a day at 400 thousand calls a day" in text and "full in about" not in text


def test_openings_of_a_role_share_a_line() -> None:
    def opening(service: str, protocol: str, ports: str, *sources: str) -> Opening:
        return Opening("edge", service, service, protocol, ports, "internet", sources)

    world = "0.0.0.0/0"
    assert describe_openings(
        [
            opening("nginx", "tcp", "80", world),
            opening("nginx", "tcp", "443", world),
            opening("opensips", "udp", "5060", "198.51.100.0/24"),
            opening("opensips", "tcp", "5060", "198.51.100.0/24"),
        ]
    ) == ["edge: 80,443/tcp nginx", "edge: 5060/udp+tcp opensips (198.51.100.0/24)"]


def test_calls_in_words() -> None:
    assert [format_calls(number) for number in (50_000, 400_000, 1_000_000)] == ["50 thousand", "400 thousand", "1 million"]


def test_the_address_of_sip_is_told_with_who_has_it() -> None:
    def said(**values: object) -> list[str]:
        made = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic", **values}), "s")
        return list(describe_address(made))

    assert said() == []
    assert said(counts={"edge": 2}) == ["10.77.1.39: edge-1 and edge-2 in turn"]
    assert said(sip_address="10.77.1.200") == ["10.77.1.200: edge-1, as a second node would have it in turn"]
    (line,) = said(counts={"edge": 2}, local_network="nat")
    assert line.endswith("; outside it is 198.18.1.39, which is translated to it")
    (line,) = said(cloud="hetzner", counts={"edge": 2}, address_token="a secret")
    assert line.endswith("; outside it is a public address of its own, which the node has too")


def test_a_bucket_of_its_own_is_said_with_what_guards_it() -> None:
    def said(**backup: object) -> list[str]:
        given = Settings.model_validate({"cloud": "aws", "tier": "basic", "region": "eu-central-1", "backup": backup})
        return list(describe_buckets(make_plan(given, "s"), given))

    assert said() == []
    assert said(bucket="acme", keep_days=40) == [
        "bucket acme in eu-central-1, made by the deployment, which never deletes it; not in the bill",
        "private; what is deleted in it stays 40 days: the nodes' key cannot delete old versions",
    ]
    assert said(kept_buckets=["acme"]) == ["not in use any more, and kept: acme"]
    given = Settings.model_validate({"cloud": "gcp", "tier": "basic", "backup": {"bucket": "acme", "keep_days": 365}})
    told = list(describe_buckets(make_plan(given, "s"), given))
    assert told[0].startswith("bucket acme in europe-west3, made by the deployment")
    assert told[1].startswith("private; what is deleted in it stays 90 days: nobody deletes it before, but the nodes' key may")
