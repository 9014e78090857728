"""What stands between a first `up` and its questions to the cloud: the provider's plugin."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from cli.cloud import before
from cli.cloud.check import RefusedError
from cli.cloud.credentials import Found
from cli.cloud.questions import Answers, find_lacking_plugin
from cli.engine.engine import Engine
from tests.plans import load_stack
from tests.unit.cli.fakes import make_engine

# As the real command line has it: no stack is asked for, and another flag is an error.
INSTALL = """
if sys.argv[1:4] == ["plugin", "install", "resource"]:
    if "--stack" in sys.argv:
        sys.exit("error: unknown flag: --stack")
    name, version = sys.argv[4:6]
    with open("asked", "w") as asked:
        asked.write(" ".join(sys.argv[6:]))
    if os.path.exists("offline"):
        sys.exit("error: no such host")
    os.makedirs(os.path.join(os.environ["PULUMI_HOME"], "plugins", f"resource-{name}-{version}"))
elif sys.argv[1:3] == ["stack", "export"]:
    print(json.dumps({"deployment": {}}))
"""
PLAN = load_stack("hetzner-single").plan


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An engine without any plugin."""
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PULUMI_DEBUG_PROVIDERS", raising=False)
    return make_engine(tmp_path, INSTALL, PLAN.stack)


def test_a_first_up_gets_the_plugin_before_it_asks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking: list[str] = []

    def answer(*_: object) -> Answers:
        lacking.append(find_lacking_plugin(PLAN))
        return Answers(account="me")

    monkeypatch.setattr(before, "ask_with", answer)
    assert find_lacking_plugin(PLAN)
    before.refuse_what_is_refused(engine, PLAN)
    assert lacking == [""]


@pytest.mark.parametrize(
    ("stack", "server"),
    [("hetzner-single", ""), ("proxmox-single", "muhlba91/pulumi-proxmoxve"), ("xen-single", "vatesfr/pulumi-xenorchestra")],
)
def test_a_plugin_comes_from_where_its_sdk_says(engine: Engine, stack: str, server: str) -> None:
    assert before.install_plugin(engine, load_stack(stack).plan) == ""
    words = (engine.folder / "asked").read_text()
    assert words.startswith(f"--server github://api.github.com/{server} " if server else "--non-interactive")


def test_without_a_plugin_nobody_is_asked_and_nothing_is_refused(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (engine.folder / "offline").touch()
    monkeypatch.setattr(before, "ask_with", lambda *_, **__: pytest.fail("asked without a plugin"))
    before.refuse_what_is_refused(engine, PLAN)
    assert "is not asked what it would refuse: error: no such host" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        (Answers(errors={"account": "no answer within 15 s"}, late={"account"}), ""),
        (Answers(errors={"account": "unable to authenticate"}), "credentials: none found; export HCLOUD_TOKEN=... (unable"),
        (Answers(account="an instance's role", errors={"quotas": "AccessDenied"}), ""),
    ],
)
def test_credentials_may_come_from_where_only_the_provider_looks(
    engine: Engine, answers: Answers, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = Found((), {"credentials": "export HCLOUD_TOKEN=..."}, "export HCLOUD_TOKEN=...")
    monkeypatch.setattr(before, "install_plugin", lambda *_: "")
    monkeypatch.setattr(before, "find_credentials", lambda *_: missing)
    monkeypatch.setattr(before, "ask_with", lambda *_, **__: dataclasses.replace(answers))
    if not told:
        before.refuse_what_is_refused(engine, PLAN)
        return
    with pytest.raises(RefusedError) as refused:
        before.refuse_what_is_refused(engine, PLAN)
    assert told in str(refused.value) and "Nothing was created." in str(refused.value)
