"""The secrets of a deployment: made once, added to, rotated one by one."""

import datetime
import re
import uuid
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from components.model.secret_specs import SECRETS, SecretKind
from provider import certificates
from provider.handler import Request
from provider.secrets import Secrets, make_password
from provider.values import UNKNOWN, Properties, Secret, reveal

ROOT = Path(__file__).resolve().parents[3]
HANDLER = Secrets()
REQUEST = Request("urn:pulumi:test::webitel::webitel:index:Secrets::secrets")


def inputs(**more: Any) -> dict[str, Any]:
    return {"names": list(SECRETS), "generations": {}, "domain": "voice.example.com"} | more


@pytest.fixture(scope="module")
def made() -> Properties:
    id, outputs = HANDLER.create(REQUEST, inputs())
    assert id
    assert isinstance(outputs["values"], Secret), "the state would hold them in plain text"
    plain: Properties = reveal(outputs)
    return plain


def update(made: Properties, **more: Any) -> Properties:
    plain: Properties = reveal(HANDLER.update(REQUEST, "secrets", inputs(), made, inputs(**more)))
    return plain


def differing(one: Properties, other: Properties) -> set[str]:
    return {name for name in one["values"] | other["values"] if one["values"].get(name) != other["values"].get(name)}


def test_every_kind_is_what_its_program_reads(made: Properties) -> None:
    values = made["values"]
    assert set(values) == set(SECRETS)
    for name, spec in SECRETS.items():
        if spec.kind == SecretKind.PASSWORD:
            assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{31}", values[name])
        if spec.kind == SecretKind.UUID:
            assert str(uuid.UUID(values[name])) == values[name]
    assert re.fullmatch(r"[\w-]{32},[\w-]{32}", values["cookie_keys"])
    assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", values["consul_gossip_key"])
    assert values["storage_key"].startswith("-----BEGIN RSA PRIVATE KEY-----"), "PKCS#1"
    storage_key = serialization.load_pem_private_key(values["storage_key"].encode(), None)
    assert isinstance(storage_key, rsa.RSAPrivateKey)
    assert storage_key.key_size == 2048
    key = asyncssh.import_private_key(values["ssh_key"])
    assert key.export_public_key().decode().split()[:2] == made["public"]["ssh_public_key"].split()[:2]
    assert len(set(values.values())) == len(values)


def test_the_server_certificate_is_signed_by_the_authority_for_the_domain(made: Properties) -> None:
    authority = x509.load_pem_x509_certificate(made["public"]["authority_certificate"].encode())
    server = x509.load_pem_x509_certificate(made["values"]["web_certificate"].encode())
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["voice.example.com"]
    assert (server.not_valid_after_utc - server.not_valid_before_utc).days == 825
    assert 3650 <= (authority.not_valid_after_utc - authority.not_valid_before_utc).days <= 3651
    key = serialization.load_pem_private_key(made["values"]["web_certificate"].encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.public_key() == server.public_key()
    assert "PRIVATE" not in made["public"]["authority_certificate"]


def test_the_databases_certificate_is_for_the_loopback_and_signed_by_an_authority_of_its_own(made: Properties) -> None:
    values = made["values"]
    root = x509.load_pem_x509_certificate(values["nodes_root"].encode())
    server = x509.load_pem_x509_certificate(values["database_certificate"].encode())
    server.verify_directly_issued_by(root)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"], "HAProxy stands before it"
    assert "PRIVATE" not in values["nodes_root"]
    assert not certificates.is_signed_by(values["nodes_root"], values["web_certificate"]), "the edge could pass for the database"
    # No clock brings them down together: whoever has not run `up` for years has a database.
    assert (server.not_valid_after_utc - server.not_valid_before_utc).days >= 3650
    # Nothing renews it, and the certificate is renewed under it.
    assert (root.not_valid_after_utc - root.not_valid_before_utc).days >= 3 * 3650


def test_the_brokers_certificate_is_for_no_address(made: Properties) -> None:
    """Whoever holds it would pass for the database at every client's 127.0.0.1."""
    broker = x509.load_pem_x509_certificate(made["values"]["broker_certificate"].encode())
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [name.value for name in names] == ["broker.webitel.nodes"]


def test_a_deployment_from_before_gets_the_database_a_certificate_and_keeps_all_else(made: Properties) -> None:
    fresh = {"nodes_authority", "nodes_root", "database_certificate", "broker_certificate"}
    before = made | {"values": {name: value for name, value in made["values"].items() if name not in fresh}}
    assert differing(before, update(before)) == fresh
    rotated = update(made, generations={"database_certificate": 2})
    assert differing(made, rotated) == {"database_certificate"}
    assert certificates.is_signed_by(rotated["values"]["nodes_root"], rotated["values"]["database_certificate"])


def test_the_thumbprint_is_that_of_the_account_and_follows_it(made: Properties) -> None:
    values = made["values"]
    assert values["acme_account_key"].startswith("-----BEGIN EC PRIVATE KEY-----"), "SEC 1, which lego reads"
    assert values["acme_thumbprint"] == certificates.thumbprint(values["acme_account_key"])
    assert re.fullmatch(r"[\w-]{43}", values["acme_thumbprint"])
    rotated = update(made, generations={"acme_account_key": 2})
    assert differing(made, rotated) == {"acme_account_key", "acme_thumbprint"}
    assert rotated["values"]["acme_thumbprint"] == certificates.thumbprint(rotated["values"]["acme_account_key"])


def test_a_members_certificate_is_for_both_ends_and_trusts_itself(made: Properties) -> None:
    member = x509.load_pem_x509_certificate(made["values"]["consul_certificate"].encode())
    member.verify_directly_issued_by(member)
    usage = member.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {*usage} == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    names = member.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    datacenter = re.search(r'"datacenter": "(\w+)"', (ROOT / "cloud_init/files/consul/webitel.json").read_text())
    assert datacenter
    assert names.get_values_for_type(x509.DNSName) == [f"server.{datacenter[1]}.consul"]


def test_nothing_changes_without_a_reason(made: Properties) -> None:
    assert HANDLER.diff(REQUEST, "secrets", inputs(), made, inputs()).changed == ()
    assert differing(made, update(made)) == set()


def test_a_new_name_is_added_and_no_other_changes(made: Properties) -> None:
    names = [name for name in SECRETS if name != "esl_password"]
    first: Properties = reveal(HANDLER.create(REQUEST, inputs(names=names))[1])
    assert list(HANDLER.diff(REQUEST, "secrets", inputs(names=names), first, inputs()).changed) == ["names"]
    assert differing(first, update(first)) == {"esl_password"}


def test_a_name_no_longer_used_is_kept(made: Properties) -> None:
    changes = HANDLER.diff(REQUEST, "secrets", inputs(), made, inputs(names=["ssh_key"]))
    assert changes.changed == ()
    assert differing(made, update(made, names=["ssh_key"])) == set()


def test_a_raised_generation_rotates_that_one(made: Properties) -> None:
    raised = {"database_password": 2}
    assert list(HANDLER.diff(REQUEST, "secrets", inputs(), made, inputs(generations=raised)).changed) == ["generations"]
    rotated = update(made, generations=raised)
    assert differing(made, rotated) == {"database_password"}
    again = reveal(HANDLER.update(REQUEST, "secrets", inputs(), rotated, inputs(generations=raised)))
    assert differing(rotated, again) == set()
    forgotten = HANDLER.diff(REQUEST, "secrets", inputs(generations=raised), rotated, inputs())
    assert forgotten.changed == (), "a setting taken away is no reason to make it anew"


def test_a_rotated_authority_signs_the_certificate_anew(made: Properties) -> None:
    rotated = update(made, generations={"authority": 2})
    assert differing(made, rotated) == {"authority", "web_certificate"}
    authority = x509.load_pem_x509_certificate(rotated["public"]["authority_certificate"].encode())
    x509.load_pem_x509_certificate(rotated["values"]["web_certificate"].encode()).verify_directly_issued_by(authority)


def test_a_new_domain_and_an_end_in_sight_renew_the_certificate(made: Properties, monkeypatch: pytest.MonkeyPatch) -> None:
    assert differing(made, update(made, domain="other.example.com")) == {"web_certificate"}
    real = datetime.datetime

    class Later(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> "Later":
            return cls.fromtimestamp(real.now(tz).timestamp() + days * 86400, tz)

    monkeypatch.setattr("provider.certificates.datetime.datetime", Later)
    days = 825 - 62
    assert HANDLER.diff(REQUEST, "secrets", inputs(), made, inputs()).changed == ()
    days = 825 - 58
    assert HANDLER.diff(REQUEST, "secrets", inputs(), made, inputs()).changed == ["domain"]
    assert differing(made, update(made)) == {"web_certificate"}


def test_a_preview_knows_what_stays(made: Properties) -> None:
    shown = HANDLER.preview_update(REQUEST, "secrets", inputs(), made, inputs(generations={"ssh_key": 2}))
    assert isinstance(shown["values"], Secret)
    values = reveal(shown["values"])
    assert values["ssh_key"] is UNKNOWN
    assert shown["public"]["ssh_public_key"] is UNKNOWN
    assert values["database_password"] == made["values"]["database_password"]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"names": ["nonsense"]}, "there is no secret nonsense"),
        ({"generations": {"nonsense": 2}}, "webitel:rotate.nonsense = 2: there is no such secret"),
        ({"generations": {"esl_password": 0}}, "webitel:rotate.esl_password = 0: must be a whole number of at least 1"),
        ({"generations": {"broker_cookie": 1}}, "webitel:rotate.broker_cookie = 1: it was 3"),
    ],
)
def test_check_names_what_is_wrong(more: dict[str, Any], told: str) -> None:
    _, failures = HANDLER.check(REQUEST, inputs(generations={"broker_cookie": 3}), inputs(**more))
    assert len(failures) == 1
    assert told in failures[0].reason


def test_a_password_never_looks_like_an_option() -> None:
    assert not any(make_password().startswith("-") for _ in range(2000))


def test_secrets_that_belong_to_restored_data_are_taken_over_and_stay(made: Properties) -> None:
    other = {"storage_key": "key of the other", "cookie_keys": "a,b"}
    given = inputs(recovered=other)
    assert not HANDLER.check(REQUEST, None, given)[1]
    assert HANDLER.diff(REQUEST, "secrets", inputs(), made, given).changed == ["recovered"]
    taken = update(made, recovered=other)
    assert differing(made, taken) == set(other) and other.items() <= taken["values"].items()
    assert not HANDLER.diff(REQUEST, "secrets", given, taken, given).changed, "a second run changes nothing"
    assert not HANDLER.diff(REQUEST, "secrets", given, taken, inputs()).changed, "nor does the next `up`, without them"
    rotated = update(taken, generations={"cookie_keys": 2})
    assert differing(taken, rotated) == {"cookie_keys"}, "they rotate as others do"


def test_a_secret_that_is_this_deployments_own_is_not_taken_over() -> None:
    (failure,) = HANDLER.check(REQUEST, None, inputs(recovered={"database_password": "x"}))[1]
    assert "database_password does not belong to data; what does is grafana_password, cookie_keys, storage_key" in failure.reason
