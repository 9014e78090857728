"""Operators' keys: quoted wherever they stand, all of them on the node, in user data as many as it has room for."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from pathlib import Path

import pytest

from cloud_init.compose import compose_user_data
from components.clouds.registry import CLOUDS
from components.model.settings import Settings
from stacks import settings as stack_settings
from stacks.load import load_deployment
from tests.plans import compose_configuration, load_yaml, make_plan

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8n3cFvqLBD3T6kFm5QH0Yj3VfVtAbJ6bXQ5XqM0d4L"


def field(data: bytes) -> bytes:
    """A field of a key, behind its length (RFC 4253)."""
    return struct.pack(">I", len(data)) + data


def make_key(kind: str, *fields: bytes) -> str:
    """A public key with these fields."""
    return f"{kind} {base64.b64encode(b''.join(map(field, (kind.encode(), *fields)))).decode()}"


def make_rsa(n: int) -> str:
    """A key of 4096 bits, another one for each number; as incompressible as a real one."""
    modulus = b"".join(hashlib.sha512(f"{n} {part}".encode()).digest() for part in range(8))
    key = make_key("ssh-rsa", bytes([1, 0, 1]), bytes([0, *modulus]))
    return f"{key} operator-{n}@office"


POINT = b"\x04" + bytes(range(64))
SECURITY_KEYS = [
    make_key("sk-ssh-ed25519@openssh.com", bytes(range(32)), b"ssh:"),
    make_key("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", POINT, b"ssh:"),
    make_key("ecdsa-sha2-nistp256", b"nistp256", POINT),
]


KEYS = (
    *(f"{key} {comment}".strip() for key in (ED25519, *SECURITY_KEYS) for comment in ("ssh:", "", "a: b")),
    f"{ED25519} # not a comment",
    f"{ED25519} {{{{ secret }}}} {{% if %}}",
    f"{ED25519} 'single' \"double\" \\n \\",
    f"{ED25519} - dash: [list] {{map}} &anchor *alias !tag |",
    f"{ED25519} %u@%h",
    f"{ED25519} Jürgen Straße",
    f"{ED25519} $(reboot) `reboot` ;",
)


CARRYING = [name for name, facts in CLOUDS.items() if not facts.given]
"""Clouds that carry the text themselves."""


@pytest.mark.parametrize(
    ("cloud", "key"),
    # Each on two clouds, all of them in turn: what differs between them is how the text is carried.
    [(CARRYING[(number + more) % len(CARRYING)], key) for number, key in enumerate(KEYS) for more in (0, 1)],
)
def test_a_key_arrives_as_it_is(cloud: str, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack_settings, "STACKS", tmp_path)
    text = f"config:\n  webitel:cloud: {cloud}\n  webitel:tier: single\n  webitel:operator_keys: [{json.dumps(key)}]\n"
    (tmp_path / "Pulumi.try.yaml").write_text(text)
    deployment = load_deployment("try")
    node = deployment.plan.nodes[0]
    document = load_yaml(compose_user_data(deployment.plan, node, deployment.settings).decoded)
    path = f"/etc/ssh/authorized_keys.d/{deployment.plan.facts.login_user}"
    (written,) = [one["content"] for one in document["write_files"] if one["path"] == path]
    configured = compose_configuration(deployment.plan, node, deployment.settings).files[path]
    for lines in (written.splitlines(), configured.splitlines()):
        assert [line for line in lines if line and not line.startswith("#")] == [key]


NUMBERS = (1, 4, 7, 8, 10, 20, 40, 80)


@pytest.mark.parametrize(
    ("cloud", "number"),
    # How many there are says what is left out, on every cloud alike; how it is carried, each cloud shows with the most.
    [*((CARRYING[place % len(CARRYING)], number) for place, number in enumerate(NUMBERS)), *((cloud, 200) for cloud in CLOUDS)],
)
def test_many_keys_fit(cloud: str, number: int) -> None:
    keys = tuple(make_rsa(n) for n in range(number))
    settings = Settings.model_validate({"cloud": cloud, "tier": "basic", "operator_keys": keys})
    plan = make_plan(settings, "try")
    node = plan.nodes[0]
    text = compose_user_data(plan, node, settings).decoded
    assert sum(key in text for key in keys) == min(number, 5)
    configured = compose_configuration(plan, node, settings).files[f"/etc/ssh/authorized_keys.d/{plan.facts.login_user}"]
    assert all(f"{key}\n" in configured for key in keys)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_root_logs_in_only_where_there_is_nobody_else(cloud: str) -> None:
    settings = Settings.model_validate({"cloud": cloud, "tier": "basic"})
    plan = make_plan(settings, "try")
    node, path = plan.nodes[0], "/etc/ssh/sshd_config.d/60-webitel.conf"
    document = load_yaml(compose_user_data(plan, node, settings).decoded)
    (booted,) = [one["content"] for one in document["write_files"] if one["path"] == path]
    configured = compose_configuration(plan, node, settings).files[path]
    wanted = "PermitRootLogin prohibit-password" if plan.facts.login_user == "root" else "PermitRootLogin no"
    for text in (booted, configured):
        assert [line for line in text.splitlines() if line.startswith("PermitRootLogin")] == [wanted]


ACCOUNTS = {"anna": (ED25519,), "bo": SECURITY_KEYS[:1]}


@pytest.mark.parametrize("cloud", CLOUDS)
def test_persons_have_accounts_and_files_of_their_own(cloud: str) -> None:
    settings = Settings.model_validate({"cloud": cloud, "tier": "basic", "operator_accounts": ACCOUNTS})
    plan = make_plan(settings, "try")
    for node in plan.nodes:
        made = compose_configuration(plan, node, settings)
        assert made.manifest["operators"] == ["anna", "bo"]
        for name, keys in ACCOUNTS.items():
            lines = made.files[f"/etc/ssh/authorized_keys.d/{name}"].splitlines()
            assert [line for line in lines if not line.startswith("#")] == list(keys)
        sudo = made.files["/etc/sudoers.d/webitel-operators"].splitlines()
        assert sudo[1:] == ["%webitel-operators ALL=(ALL:ALL) NOPASSWD: ALL"]
        assert made.attributes["/etc/sudoers.d/webitel-operators"]["mode"] == "0440"
        # A machine is not made anew for a person, and the shared account takes no key of theirs.
        plain = Settings.model_validate({"cloud": cloud, "tier": "basic"})
        assert compose_user_data(plan, node, settings) == compose_user_data(plan, node, plain)
        assert ED25519 not in made.files[f"/etc/ssh/authorized_keys.d/{plan.facts.login_user}"]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_certificates_let_in_by_names_that_an_account_has(cloud: str) -> None:
    more = {"ssh_authorities": [ED25519], "ssh_principals": ["on-call"], "operator_accounts": {"anna": []}}
    settings = Settings.model_validate({"cloud": cloud, "tier": "basic", **more})
    plan = make_plan(settings, "try")
    node, user = plan.nodes[0], plan.facts.login_user
    made = compose_configuration(plan, node, settings)
    sshd = "/etc/ssh/sshd_config.d/60-webitel.conf"
    lines = made.files[sshd].splitlines()
    assert lines[-2:] == [
        "TrustedUserCAKeys /etc/ssh/webitel_authorities",
        "AuthorizedPrincipalsFile /etc/ssh/authorized_principals.d/%u",
    ]
    assert ED25519 in made.files["/etc/ssh/webitel_authorities"].splitlines()
    names = {path: made.files[f"/etc/ssh/authorized_principals.d/{path}"].splitlines() for path in (user, "anna")}
    assert [name for name in names[user] if not name.startswith("#")] == [user, "on-call"]
    assert names["anna"] == ["anna"]
    assert made.attributes[sshd]["actions"] == ["reload ssh"], "an authority that is taken out is trusted no more"
    plain = Settings.model_validate({"cloud": cloud, "tier": "basic"})
    assert compose_user_data(plan, node, settings) == compose_user_data(plan, node, plain)
    assert "Trusted" not in compose_configuration(plan, node, plain).files[sshd]
