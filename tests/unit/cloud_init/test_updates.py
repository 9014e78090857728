"""What a node is told of security updates: when, which packages renew themselves, and which never do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cloud_init.compose import Configuration
from tests.plans import compose_configuration, load_stack, make_plan

APT = "/etc/apt/apt.conf.d/60webitel-updates"
TIMERS = "/etc/systemd/system/{}.timer.d/webitel.conf"
PATTERN = re.compile(r'^  "(.*)";$', re.MULTILINE)


def compose(stack: str = "local-single", **changes: Any) -> Configuration:
    """Compose the first node of a stack with these settings."""
    settings = load_stack(stack).settings.model_copy(update=changes)
    plan = make_plan(settings, stack)
    return compose_configuration(plan, plan.nodes[0], settings)


def is_left_alone(configuration: Configuration, package: str) -> bool:
    """Judge as unattended-upgrades does (`facts/updates.md` 1)."""
    return any(re.match(pattern, package) for pattern in PATTERN.findall(configuration.files[APT]))


@pytest.mark.parametrize("stack", ["local-single", "aws-single"])
def test_what_runs_calls_is_left_alone_with_all_that_it_consists_of(stack: str) -> None:
    configuration = compose(stack)
    kept = ("nginx", "nginx-common", "erlang-base", "postgresql-common", "opensips-tls-module", "webitel-engine", "haproxy")
    assert all(is_left_alone(configuration, name) for name in kept)
    renewed = ("curl", "openssh-server", "chrony", "fail2ban", "unattended-upgrades", "libssl3", "linux-image-6.1.0-40-amd64")
    assert not any(is_left_alone(configuration, name) for name in renewed)


@pytest.mark.parametrize("stack", ["local-single", "aws-single"])
def test_every_package_of_a_node_is_held_or_renews_itself(stack: str) -> None:
    configuration = compose(stack)
    renewed = set(configuration.manifest["renewed"])
    assert renewed == {"chrony", "curl", "fail2ban", "openssh-server", "python3-systemd", "unattended-upgrades"}
    for name in configuration.manifest["packages"]:
        assert is_left_alone(configuration, name) is (name not in renewed), name


def test_a_version_of_ones_own_is_kept() -> None:
    configuration = compose(package_versions={"openssh-server": "1:9.2p1-2+deb12u3"})
    assert "openssh-server" not in configuration.manifest["renewed"] and is_left_alone(configuration, "openssh-server")


def test_parts_of_a_package_can_have_a_version_and_are_nowhere_installed_for_it() -> None:
    versions = compose(package_versions={"erlang-base": "1:25.2.3+dfsg-1+deb12u3"}).manifest["versions"]
    assert versions["erlang-base"] == {
        "version": "1:25.2.3+dfsg-1+deb12u3",
        "actions": ["restart rabbitmq-server"],
        "part": True,
    }


def test_the_window_is_apts_timers() -> None:
    configuration = compose(update_window="23:30-02:30")
    assert "OnCalendar=\nOnCalendar=23:30\nRandomizedDelaySec=60min\n" in configuration.files[TIMERS.format("apt-daily")]
    assert "OnCalendar=\nOnCalendar=00:30\nRandomizedDelaySec=60min\n" in configuration.files[TIMERS.format("apt-daily-upgrade")]
    assert 'APT::Periodic::Unattended-Upgrade "1";' in configuration.files[APT]


def test_off_leaves_everything_held() -> None:
    configuration = compose(update_window="off")
    assert configuration.manifest["renewed"] == [] and TIMERS.format("apt-daily") not in configuration.files
    assert "unattended-upgrades" not in configuration.manifest["packages"]
    assert 'APT::Periodic::Unattended-Upgrade "0";' in configuration.files[APT]
    assert all(is_left_alone(configuration, name) for name in configuration.manifest["packages"])
