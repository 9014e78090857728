"""What is a patch, what a new version does to whom, and which patches of a deployment are chosen."""

from typing import Any

import pytest

from components.model.catalogue.packages import PECULIAR, UPDATERS
from components.model.catalogue.service import OnChange, PackageSource
from components.model.catalogue.services import CATALOGUE
from components.model.patches import VERSION, choose_patches, find_reactions, is_patch, known_packages
from components.model.share import SHARE_TYPES
from tests.plans import load_stack, make_plan

PLAN = make_plan(load_stack("local-basic").settings.model_copy(update={"counts": {"app": 2}}), "local-basic")


@pytest.mark.parametrize(
    ("package", "now", "new", "same"),
    [
        ("webitel-engine", "25.08.3-1", "25.08.12-1", True),
        ("webitel-engine", "25.08.3-1", "26.4.0-1", False),
        ("webitel-engine", "25.08+sandbox1.ab12cd34", "25.08+sandbox1.ab12cd34+1", True),
        ("freeswitch", "1.10.12~release", "1.10.13~release", True),
        ("grafana", "11.6.0", "12.0.1", False),
        ("opensips", "3.4.18-1", "3.5.1-1", False),
        ("rabbitmq-server", "3.10.8-1.1", "3.10.8-1.1+deb12u1", True),
        ("rabbitmq-server", "3.10.8-1.1", "3.12.1-1", False),
        ("postgresql-15", "15.9-0+deb12u1", "15.14-0+deb12u1", True),
        ("consul", "1:1.8.7", "1.8.9", True),
    ],
)
def test_a_patch_keeps_the_series(package: str, now: str, new: str, same: bool) -> None:
    assert is_patch(package, now, new) is same


def test_every_exception_is_a_package_of_the_catalogue() -> None:
    packages = {name for source in PackageSource for name in known_packages(source)}
    packages.update(UPDATERS)
    packages.update(name for facts in SHARE_TYPES.values() for name in facts.packages)
    assert set(PECULIAR) <= packages
    assert all(VERSION.fullmatch(one) for one in ("25.08.3-1", "1:1.10~rc1", "3.10.8-1.1+deb12u1"))
    assert not any(VERSION.fullmatch(one) for one in ("", "latest", "1 2", "1=2", "-1", "1;reboot"))


@pytest.mark.parametrize(
    ("package", "reactions"),
    [
        ("webitel-engine", {"engine": OnChange.RESTART}),
        ("webitel-core", dict.fromkeys(("webitel-app", "webitel-api", "webitel-uac"), OnChange.RESTART)),
        ("freeswitch-mod-opus", {"freeswitch": OnChange.DRAIN}),
        ("opensips-wss-module", {"opensips": OnChange.RESTART}),
        ("postgresql-15", {"postgresql": OnChange.RESTART}),
        ("nginx", {"nginx": OnChange.RESTART, "sip-websocket": OnChange.RESTART}),
        ("haproxy", {"haproxy": OnChange.RELOAD}),
        ("nftables", {"nftables": OnChange.RELOAD}),
        ("webitel-common", {}),
        ("curl", {}),
        ("webitel-crm", {}),
    ],
)
def test_what_a_new_version_does(package: str, reactions: dict[str, OnChange]) -> None:
    assert find_reactions(package, CATALOGUE.values(), PackageSource.SANDBOX) == reactions


def entry(now: str, *newer: str) -> dict[str, Any]:
    return {"now": now, "newer": list(newer)}


def choose(offers: dict[str, dict[str, dict[str, Any]]], *only: str) -> list[tuple[str, str, str]]:
    return [(patch.node, patch.package, patch.new) for patch in choose_patches(PLAN, offers, only)]


def test_the_highest_patch_that_every_node_can_have_is_chosen_in_the_order_of_the_rollout() -> None:
    one = entry("25.08.1-1", "26.4.1-1", "25.08.10-1", "25.08.2-1")
    assert choose({"app-2": {"webitel-engine": one}, "app-1": {"webitel-engine": one}}) == [
        ("app-1", "webitel-engine", "25.08.10-1"),
        ("app-2", "webitel-engine", "25.08.10-1"),
    ]
    behind = entry("25.08.1-1", "25.08.2-1")
    assert choose({"app-1": {"webitel-engine": one}, "app-2": {"webitel-engine": behind}}) == [
        ("app-1", "webitel-engine", "25.08.2-1"),
        ("app-2", "webitel-engine", "25.08.2-1"),
    ]


def test_a_node_ahead_of_the_others_is_left_and_never_goes_down() -> None:
    behind, ahead = entry("25.08.1-1", "25.08.3-1", "25.08.2-1"), entry("25.08.3-1")
    assert choose({"app-1": {"webitel-engine": behind}, "app-2": {"webitel-engine": ahead}}) == [
        ("app-1", "webitel-engine", "25.08.3-1")
    ]
    assert choose({"app-1": {"webitel-engine": entry("25.08.1-1", "25.08.2-1")}, "app-2": {"webitel-engine": ahead}}) == []
    assert choose({"app-1": {"webitel-engine": entry("25.08.1-1", "26.4.0-1")}}) == []


def test_services_can_be_chosen_and_what_drops_calls_is_known() -> None:
    offers = {
        "app-1": {
            "webitel-engine": entry("25.08.1", "25.08.2"),
            "webitel-logger": entry("25.08.1", "25.08.2"),
            "freeswitch": entry("1.10.1", "1.10.2"),
        },
        "edge-1": {"opensips": entry("3.4.1", "3.4.2"), "rtpengine-daemon": entry("10.5.1", "10.5.2")},
    }
    assert choose(offers, "logger") == [("app-1", "webitel-logger", "25.08.2")]
    assert {patch.package for patch in choose_patches(PLAN, offers) if patch.drops_calls} == {"opensips"}, "rtpengine keeps them"


def test_security_updates_and_nothing_else_whatever_their_numbers() -> None:
    common = {**entry("248", "249", "248+deb12u1"), "security": ["248+deb12u1"]}
    offers = {"data-1": {"rabbitmq-server": {**entry("3.10.8-1", "3.10.8-2"), "security": []}, "postgresql-common": common}}
    (patch,) = choose_patches(PLAN, offers, security=True)
    assert (patch.package, patch.new) == ("postgresql-common", "248+deb12u1")
    assert list(patch.reactions) == ["postgresql"], "what a package consists of is restarted like itself"


def test_the_broker_restarts_for_its_erlang() -> None:
    offers = {"data-1": {"erlang-base": entry("1:25.2.3+dfsg-1", "1:25.2.3+dfsg-1+deb12u3")}}
    (patch,) = choose_patches(PLAN, offers, ["rabbitmq"])
    assert list(patch.reactions) == ["rabbitmq"]
