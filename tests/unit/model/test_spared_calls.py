"""Calls of two nodes that take turns: which changes another node spares them, and which need leave as ever."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Any

import pytest

from cloud_init.compose import Configuration
from components.model.dropped_calls import find_dropped_calls, find_handed_over
from components.model.patches import choose_patches
from components.model.settings import Settings
from tests.plans import compose_configuration, make_plan

OPENSIPS, RTPENGINE = "/etc/opensips/opensips.cfg", "/etc/rtpengine/rtpengine.conf"
UAC = "/etc/webitel/webitel-uac.env"
Inputs = dict[str, Any]


@cache
def compose(edges: int) -> Configuration:
    settings = Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": edges}})
    plan = make_plan(settings, "s")
    return compose_configuration(plan, plan.node("edge-1"), settings)


def inputs(edges: int = 2) -> Inputs:
    made = compose(edges)
    parts = {name: deepcopy(getattr(made, name)) for name in ("files", "attributes", "manifest", "bundles")}
    return {"addresses": {}, "secrets": {}, **parts}


def changed(old: Inputs, *paths: str) -> Inputs:
    new = deepcopy(old)
    for path in paths:
        new["files"][path] += "# another day\n"
    return new


def test_what_another_node_can_have_meanwhile_needs_no_leave() -> None:
    old = inputs()
    assert find_handed_over(old, old) == find_dropped_calls(old, old) == ""
    assert find_handed_over(old, changed(old, OPENSIPS)) == "OpenSIPS"
    assert find_dropped_calls(old, changed(old, OPENSIPS)) == ""


def test_what_loses_no_call_where_it_is_stays_there() -> None:
    """A restart of rtpengine is silent for half a second, a hand-over for three, and calls that ring go on."""
    old = inputs()
    assert find_handed_over(old, changed(old, RTPENGINE, UAC)) == find_dropped_calls(old, changed(old, RTPENGINE, UAC)) == ""


def test_one_node_needs_leave_as_ever() -> None:
    old = inputs(1)
    assert find_handed_over(old, changed(old, OPENSIPS)) == ""
    assert find_dropped_calls(old, changed(old, OPENSIPS)).startswith("OpenSIPS restarts: ")


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_second_node_that_comes_or_goes_spares_nothing(before: int, after: int) -> None:
    old, new = inputs(before), changed(inputs(after), OPENSIPS)
    assert find_handed_over(old, new) == "" and find_dropped_calls(old, new)


def leave(manifest: dict[str, Any]) -> None:
    for service in manifest["services"]:
        for candidate in service.get("candidates", ())[1:]:
            candidate["leaving"] = True


def move(manifest: dict[str, Any]) -> None:
    manifest["sip_address"] = "10.77.1.38"


def forget(manifest: dict[str, Any]) -> None:
    """As one of an earlier version, before there were two."""
    del manifest["services"]


@pytest.mark.parametrize("change", [leave, move])
def test_a_node_that_leaves_and_another_address_spare_nothing(change: Callable[[dict[str, Any]], None]) -> None:
    old = inputs()
    new = changed(old, OPENSIPS)
    change(new["manifest"])
    assert find_handed_over(old, new) == "" and find_dropped_calls(old, new)


def test_what_the_node_was_given_counts_too() -> None:
    old = inputs()
    forget(old["manifest"])
    assert find_dropped_calls(old, changed(inputs(), OPENSIPS))


def test_a_node_is_told_what_another_one_has_first() -> None:
    first = {one["name"] for one in compose(2).manifest["services"] if one.get("hands_over_first")}
    assert first == {"opensips"}
    assert not [one for one in compose(1).manifest["services"] if "hands_over_first" in one]


@pytest.mark.parametrize(("edges", "drops"), [(1, True), (2, False)])
def test_a_patch_version_is_no_reason_for_leave_where_another_node_has_the_calls(edges: int, drops: bool) -> None:
    plan = make_plan(Settings.model_validate({"cloud": "local", "tier": "basic", "counts": {"edge": edges}}), "s")
    offer = {name: {"now": "3.4.1", "newer": ["3.4.2"]} for name in ("opensips", "rtpengine-daemon")}
    patches = choose_patches(plan, {f"edge-{n}": offer for n in range(1, edges + 1)})
    by_package = {patch.package: patch for patch in patches}
    assert len(patches) == 2 * edges
    assert (by_package["opensips"].drops_calls, by_package["opensips"].hands_over) == (drops, not drops)
    media = by_package["rtpengine-daemon"]
    assert (media.drops_calls, media.hands_over) == (False, False), "that keeps its calls by itself"
