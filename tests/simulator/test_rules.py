"""No rule without a source, and nothing that no rule knows: types, inputs, functions, deletions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from provider.server import ProviderError, Request
from tests.simulator import rules
from tests.simulator.conftest import Driver
from tests.simulator.deletions import DELETIONS
from tests.simulator.resource import Simulated
from tests.simulator.schema import load_schema
from tests.simulator.simulators import PACKAGES

CLOUDS = pytest.mark.parametrize("cloud", PACKAGES)


def test_every_rule_names_its_source() -> None:
    found = rules.list_rules()
    assert len(found) > 100
    assert [f"{rule.file}: {rule.name}" for rule in found if not rule.sources] == []
    assert {source.partition(" ")[0] for rule in found for source in rule.sources} <= rules.FOUND.keys()


def test_a_rule_without_a_source_is_noticed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "new.py"
    file.write_text('"""A cloud."""\ndef make(call):\n    """Refuses."""\n    raise Refused(f"no {call}")\n')
    monkeypatch.setattr(rules, "FOLDER", tmp_path)
    (rule,) = rules.list_rules()
    assert (rule.name, rule.says, rule.sources) == ("make", ("no ·",), ())
    file.write_text(file.read_text().replace("A cloud.", "A cloud (`facts/clouds.md` 1.1, 1.3-1.5, `facts/real-clouds.md` B8)."))
    assert rules.list_rules()[0].sources == ("facts/clouds.md 1.1, 1.3-1.5", "facts/real-clouds.md B8")


def test_the_table_in_the_readme_is_the_code_s() -> None:
    assert rules.read_table() == rules.write_table(), "run: python -m tests.clouds.conformance.golden"


@CLOUDS
def test_how_a_type_ends_is_said_and_done(cloud: str, make_driver: Callable[[str], Driver]) -> None:
    """What ends in a way of its own says so, and what says so has code for it."""
    for type, handler in make_driver(cloud).provider.handlers.items():
        assert isinstance(handler, Simulated)
        word = load_schema(PACKAGES[cloud]).resources[type]["deletion"]
        own = type_of(handler).end is not Simulated.end or type_of(handler).delete is not Simulated.delete
        assert word in DELETIONS and own == (word != "gone"), (type, word)


def type_of(handler: Simulated) -> type[Simulated]:
    return handler.__class__


@CLOUDS
def test_a_deletion_that_no_rule_knows_is_an_error(
    cloud: str,
    make_driver: Callable[[str], Driver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = make_driver(cloud)
    resources = load_schema(PACKAGES[cloud]).resources
    for type, handler in driver.provider.handlers.items():
        for words in ({}, {"deletion": "somehow"}):
            with monkeypatch.context() as patch:
                patch.setitem(
                    resources, type, {name: value for name, value in resources[type].items() if name != "deletion"} | words
                )
                with pytest.raises(ProviderError, match="no rule knows how it ends"):
                    handler.delete(driver.request(type, "x"), "x", {}, {})


@CLOUDS
def test_a_type_an_input_and_a_function_that_no_rule_knows_are_errors(cloud: str, make_driver: Callable[[str], Driver]) -> None:
    driver = make_driver(cloud)
    package = PACKAGES[cloud]
    urn = f"urn:pulumi:test::test::{package}:index/surprise:Surprise::x"
    port = driver.provider.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError, match="has no resource type"):
            provider_pb2_grpc.ResourceProviderStub(channel).Create(provider_pb2.CreateRequest(urn=urn))
    finally:
        driver.provider.stop(0)
    for type, handler in driver.provider.handlers.items():
        failures = handler.check(driver.request(type, "x"), None, {"surprise": 1})[1]
        assert any(one.property == "surprise" and "is no input" in one.reason for one in failures), type
    assert driver.provider.invoke
    with pytest.raises(ProviderError, match="is not simulated"):
        driver.provider.invoke(Request(""), f"{package}:index/getSurprise:getSurprise", {})
