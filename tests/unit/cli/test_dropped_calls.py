"""What is refused before a run with arguments of its own, a replacement or a repair: what the engine's preview warns of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cli.console import Failure
from cli.deploy import find_effects, refuse_dropped_calls
from cli.engine.dropped_calls import look_at_calls
from components.model.dropped_calls import ANNOUNCED, HANDED_OVER, ONCE_HANDED_OVER, UNLESS_ALLOWED
from components.model.resource_types import CONFIGURATION, SECRETS
from tests.plans import compose_configuration, load_stack
from tests.unit.cli.fakes import make_engine

AGAIN = "./webitel up local-basic --repair"
DROPS = f"{ANNOUNCED}OpenSIPS restarts: calls fail{UNLESS_ALLOWED}"

Look = Callable[[str], list[str]]


def warn(text: str) -> str:
    return f'diagnose({text!r}, "warning", urn="urn:pulumi:s::webitel::{CONFIGURATION}::edge-1")\n'


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Looks with a preview that does this; returns with what the engine was run."""

    def run(body: str) -> list[str]:
        ran = tmp_path / "ran"
        engine = make_engine(tmp_path, f"open({str(ran)!r}, 'w').write(json.dumps(sys.argv[1:]))\n{body}")
        effects = find_effects(engine, load_stack("local-basic"), ["--refresh"], lambda: AGAIN)
        refuse_dropped_calls(effects.dropped, lambda: AGAIN)
        words: list[str] = json.loads(ran.read_text())
        return words

    return run


def test_what_drops_calls_is_named_with_the_command_that_does_it(look: Look) -> None:
    with pytest.raises(Failure) as caught:
        look(warn("cloud-init reports an error") + warn(DROPS) * 2)
    assert str(caught.value).splitlines() == [
        "Calls in progress would suffer. Nothing was changed.",
        "  local-basic-edge-1: OpenSIPS restarts: calls fail",
        f"When few calls are in progress, run: {AGAIN} --disruptive",
    ]


def test_what_goes_on_elsewhere_is_told_apart(tmp_path: Path) -> None:
    text = f"{HANDED_OVER}OpenSIPS{ONCE_HANDED_OVER}"
    effects = find_effects(make_engine(tmp_path, warn(text)), load_stack("local-basic"), ["--refresh"], lambda: AGAIN)
    assert (effects.dropped, effects.handed) == ({}, {"local-basic-edge-1": "OpenSIPS"})


def test_what_drops_none_is_looked_at_and_nothing_is_changed(look: Look, capsys: pytest.CaptureFixture[str]) -> None:
    words = look(warn("cloud-init reports an error") + 'say("resourcePreEvent", op="update")')
    assert words[:2] == ["preview", "--refresh"]
    assert not {"--yes", "--skip-preview"} & set(words)
    assert "changing" not in capsys.readouterr().err


def test_a_preview_that_fails_ends_it(look: Look) -> None:
    with pytest.raises(Failure, match="incorrect passphrase"):
        look("sys.exit('error: incorrect passphrase')")


def test_a_secret_that_is_to_be_rotated_is_a_change_of_what_it_stands_in() -> None:
    """The state has no secret in the clear, and the new one is not made yet."""
    deployment = load_stack("local-single")
    plan = deployment.plan
    composed = compose_configuration(plan, plan.nodes[0], deployment.settings)
    inputs = {"node": plan.nodes[0].name, "secrets": {"ciphertext": "v1"}, "addresses": {}} | {
        name: getattr(composed, name) for name in ("files", "attributes", "manifest", "bundles")
    }
    resources = [
        {"type": CONFIGURATION, "inputs": inputs, "outputs": {"configured": True}},
        {"type": SECRETS, "inputs": {}, "outputs": {"generations": {"database_password": 1, "cookie_keys": 1}}},
    ]

    def look(**rotate: int) -> dict[str, str]:
        return look_at_calls(
            resources, replace(deployment, settings=deployment.settings.model_copy(update={"rotate": rotate}))
        ).dropped

    assert look() == look(database_password=1) == look(cookie_keys=2) == {}
    assert "OpenSIPS restarts" in look(database_password=2)[plan.nodes[0].name]
