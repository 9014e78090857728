"""Every unit is shut in or has a reason not to be, and no call ends for it."""

import re
from pathlib import Path

from cloud_init.compose import HERE, Configuration
from cloud_init.node import owed, turns
from cloud_init.node.ask import tokens
from cloud_init.node.clusters import access, encryption, trust
from cloud_init.node.health import kept_calls, machine
from components.model.catalogue.hardening import HARDENED, LEFT_ALONE
from tests.plans import compose_stack

STACKS = sorted(path.name.split(".")[1] for path in Path("stacks").glob("Pulumi.*.yaml"))


def configurations(stack: str) -> list[Configuration]:
    return list(compose_stack(stack).values())


def drop_in(unit: str) -> str:
    return f"/etc/systemd/system/{unit}.service.d/hardening.conf"


def test_a_unit_is_shut_in_or_has_a_reason() -> None:
    for stack, configuration in ((name, one) for name in STACKS for one in configurations(name)):
        for name in ("webitel-watch", *(unit["name"] for unit in configuration.units)):
            assert (name in HARDENED) != (name in LEFT_ALONE), name
            assert (drop_in(name) in configuration.files) == (name in HARDENED), f"{stack}: {name}"


def test_so_is_a_unit_of_ours_that_is_started_by_another() -> None:
    """A timer's, or one of the first boot: no list of a service's units has them."""
    ours = {path.stem for path in (HERE / "files").rglob("*.service")}
    ours |= set(re.findall(r"/etc/systemd/system/([\w-]+)\.service\b", (HERE / "base.yaml.j2").read_text()))
    assert {"webitel-watch", "webitel-install"} < ours
    assert sorted(name for name in ours if (name in HARDENED) == (name in LEFT_ALONE)) == []


def test_who_has_more_rights_than_others_says_why() -> None:
    assert [name for name, one in HARDENED.items() if one.capabilities and not one.reason] == []
    assert [name for name, reason in LEFT_ALONE.items() if not reason] == []


def test_only_what_no_call_notices_is_restarted() -> None:
    restarted = {
        "engine",
        "storage",
        "messages-srv",
        "messages-bot",
        "webitel-logger",
        "webitel-cases",
        "fail2ban",
        "webitel-watch",
        "webitel-records",
        "prometheus",
        "prometheus-node-exporter",
        "prometheus-alertmanager",
        "prometheus-blackbox-exporter",
    }
    attributes = configurations("local-single")[0].attributes
    for name in HARDENED:
        if drop_in(name) in attributes and attributes[drop_in(name)]["actions"]:
            assert attributes[drop_in(name)]["actions"] == [f"{'restart' if name in restarted else 'refresh'} {name}"]


def test_a_service_may_write_where_its_data_is() -> None:
    text = configurations("local-single")[0].files[drop_in("storage")]
    assert "ProtectSystem=strict" in text and "ReadWritePaths=-/var/lib/webitel/recordings/storage\n" in text


def test_the_watcher_may_write_what_it_hands_out() -> None:
    written = (
        trust.KEY_FILE,
        trust.CERTIFICATE_FILE,
        access.CONSUL_FILE,
        access.PATRONI_FILE,
        turns.WRITING,
        owed.OWED,
        kept_calls.PUT_OFF / "rtpengine-daemon",
        encryption.DATABASE_FILE,
        encryption.PROXY_FILE,
        encryption.WAITING,
        access.TURN,
        tokens.IN_USE,
        machine.GROWTH,
        trust.IN_USE,
    )
    for path in written:
        assert any(path.is_relative_to(folder) for folder in HARDENED["webitel-watch"].writes), path


def test_the_folder_of_web_pages_is_made_before_the_program_is_shut_in() -> None:
    """As its user, which a command before the program is too: it could make none in a system that is read-only."""
    bot = next(unit for unit in configurations("local-single")[0].units if unit["name"] == "messages-bot")
    folder = re.search(
        r"--web_root=/var/lib/(\S+)", configurations("local-single")[0].files["/etc/systemd/system/messages-bot.service"]
    )
    assert folder and f"StateDirectory={folder[1]}" in bot["service_lines"]


def test_what_runs_as_root_does_not_reach_the_metadata_unless_that_is_the_resolver_too() -> None:
    assert "IPAddressDeny=169.254.169.254\n" in configurations("hetzner-single")[0].files[drop_in("fail2ban")]
    assert "IPAddressDeny" not in configurations("gcp-single")[0].files[drop_in("fail2ban")]


def test_whoever_runs_as_a_user_of_ours_can_read_what_it_needs() -> None:
    for stack, configuration in ((name, one) for name in STACKS for one in configurations(name)):
        users = configuration.manifest.get("users", {})
        for path, text in configuration.files.items():
            if path.endswith("/hardening.conf") and "\nUser=" in text:
                assert "\nUser=webitel\nGroup=webitel\n" in text and users == {"webitel": 640}, f"{stack}: {path}"


def test_go_micro_has_a_home_to_write_to() -> None:
    for unit in ("messages-srv", "messages-bot"):
        assert "TemporaryFileSystem=/home:mode=1777\n" in configurations("local-single")[0].files[drop_in(unit)], unit
