"""A certificate that its owner provides: looked at before anything changes, kept by every later `up`, given back when asked."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from components.model.secret_specs import SECRETS
from provider.handler import Request
from provider.provided import read
from provider.secrets import Secrets
from provider.values import Properties, reveal

HANDLER = Secrets()
REQUEST = Request("urn:pulumi:test::webitel::webitel:index:Secrets::secrets")
NOW = datetime.datetime.now(datetime.UTC)
DOMAIN = "voice.acme.io"

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Issuer(NamedTuple):
    certificate: x509.Certificate
    key: Any


def pem(*parts: Any, newline: str = "\n") -> str:
    texts = [
        part.public_bytes(serialization.Encoding.PEM)
        if isinstance(part, x509.Certificate)
        else part.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        for part in parts
    ]
    return b"".join(texts).decode().replace("\n", newline)


def sign(
    name: str,
    key: Key,
    issuer: Issuer | None,
    names: Sequence[str] = (),
    days: tuple[int, int] = (-1, 90),
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + datetime.timedelta(days=days[0]))
        .not_valid_after(NOW + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
    if issuer:
        where = x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.example/issuer.der")
        )
        builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
    return builder.sign(issuer.key if issuer else key, hashes.SHA256())


def make_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


ROOT_KEY, MIDDLE_KEY, KEY = make_key(), make_key(), make_key()
ROOT = Issuer(sign("Root", ROOT_KEY, None), ROOT_KEY)
MIDDLE = Issuer(sign("Middle", MIDDLE_KEY, ROOT), MIDDLE_KEY)
LEAF = sign(DOMAIN, KEY, MIDDLE, [DOMAIN])
GOOD = pem(LEAF, MIDDLE.certificate, KEY)


def inputs(certificate: str = "", **more: Any) -> dict[str, Any]:
    own = {"certificate": certificate, "web_names": []} if certificate else {}
    return {"names": list(SECRETS), "generations": {}, "domain": DOMAIN} | own | more


def problems(text: str, old: Properties | None = None, **more: Any) -> list[str]:
    _, failures = HANDLER.check(REQUEST, old, inputs(text, **more))
    assert all(failure.property == "certificate" for failure in failures)
    return [failure.reason for failure in failures]


def leaf(names: Sequence[str] = (DOMAIN,), days: tuple[int, int] = (-1, 90), key: Key = KEY) -> str:
    return pem(sign(DOMAIN, key, MIDDLE, names, days), MIDDLE.certificate, key)


ED25519 = ed25519.Ed25519PrivateKey.generate()
ENCRYPTED = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
).decode()


def leaf_of_rsa(p: int, q: int) -> str:
    """A certificate of the key of two primes: to look for such large ones takes seconds."""
    e, d = 65537, pow(65537, -1, (p - 1) * (q - 1))
    parts = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    key = rsa.RSAPrivateNumbers(p, q, d, *parts, rsa.RSAPublicNumbers(e, p * q)).private_key(unsafe_skip_rsa_key_validation=True)
    return pem(sign(DOMAIN, key, ROOT, [DOMAIN]), key)


REFUSED: dict[str, tuple[str | Callable[[], str], str]] = {
    "no key": (pem(LEAF, MIDDLE.certificate), "it has no private key"),
    "two keys": (pem(LEAF, MIDDLE.certificate, KEY, ROOT_KEY), "it has 2 private keys"),
    "encrypted": (pem(LEAF, MIDDLE.certificate) + ENCRYPTED, "its key is encrypted; take its passphrase off"),
    "broken key": (
        pem(LEAF) + "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "its private key cannot be read",
    ),
    "broken": (pem(KEY) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificates cannot be read"),
    "other key": (pem(LEAF, MIDDLE.certificate, ROOT_KEY), "no certificate in it is that of its key"),
    "kind": (pem(sign(DOMAIN, ED25519, ROOT, [DOMAIN]), ED25519), "of a kind that browsers do not take"),
    # Made when they are tried: such keys take seconds.
    "short": (lambda: leaf_of_rsa(3 * 2**510 + 761, 3 * 2**510 + 1505), "its RSA key has 1024 bits; use 2048 to 4096"),
    "long": (lambda: leaf_of_rsa(3 * 2**2050 + 521, 3 * 2**2050 + 1675), "its RSA key has 4104 bits; use 2048 to 4096"),
    "chain": (pem(LEAF, KEY), "the certificate of its issuer CN=Middle is missing"),
    "stranger": (pem(LEAF, MIDDLE.certificate, sign("Stranger", make_key(), None), KEY), "did not sign another one: CN=Stranger"),
    "name": (leaf(["pbx.acme.io", "*.voice.acme.io"]), f"it is not for {DOMAIN} but for pbx.acme.io, *.voice.acme.io"),
    "future": (leaf(days=(2, 9)), "it is valid from "),
    "ended": (leaf(days=(-90, -1)), "CN=voice.acme.io ended on "),
}


@pytest.mark.parametrize(("text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_no_browser_would_take_is_refused_before_anything_changes(text: str | Callable[[], str], words: str) -> None:
    (found,) = problems(text if isinstance(text, str) else text())
    assert found.startswith("webitel:certificate_pem: ") and words in found and "-----" not in found


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        pem(KEY, MIDDLE.certificate, LEAF),
        pem(ROOT.certificate, LEAF, KEY, MIDDLE.certificate),
        pem(LEAF, MIDDLE.certificate, KEY, newline="\r\n"),
        "Bag Attributes\n" + GOOD.replace("-----BEGIN PRIVATE", "comment\n-----BEGIN PRIVATE"),
        leaf(["*.acme.io"]),
        pem(sign(DOMAIN, KEY, None, [DOMAIN]), KEY),
    ],
    ids=["full chain", "other order", "with its root", "Windows", "comments", "star", "its own authority"],
)
def test_what_is_right_is_taken_in_the_order_that_servers_read(text: str) -> None:
    assert problems(text) == []
    certificates = x509.load_pem_x509_certificates(read(text).text().encode())
    for one, issuer in pairwise(certificates):
        one.verify_directly_issued_by(issuer)
    assert certificates[0].public_key() == KEY.public_key() and "\r" not in read(text).text()


def test_every_name_of_the_web_is_in_it() -> None:
    (found,) = problems(GOOD, web_names=["pbx.acme.io"])
    assert "it is not for pbx.acme.io but for voice.acme.io; get one for all names of the web" in found
    (found,) = problems(GOOD, old=inputs(GOOD), domain="pbx.acme.io")
    assert "it is not for pbx.acme.io" in found


def test_one_that_has_ended_in_use_stops_no_other_change() -> None:
    ended = leaf(days=(-90, -1))
    assert problems(ended, old=inputs(ended)) == []
    assert len(problems(ended, old=inputs(GOOD))) == 1


def make() -> Properties:
    made: Properties = reveal(HANDLER.create(REQUEST, inputs())[1])
    return made


def update(outputs: Properties, new: Properties) -> Properties:
    done: Properties = reveal(HANDLER.update(REQUEST, "secrets", inputs(), outputs, new))
    return done


def test_it_comes_survives_renews_and_goes_alone() -> None:
    first = make()
    second = update(first, inputs(GOOD))
    assert second["values"]["web_certificate"] == read(GOOD).text()
    assert {name for name in SECRETS if first["values"][name] != second["values"][name]} == {"web_certificate"}
    assert not HANDLER.diff(REQUEST, "secrets", inputs(GOOD), second, inputs(GOOD)).changed
    soon = leaf(days=(-1, 5))
    assert HANDLER.diff(REQUEST, "secrets", inputs(GOOD), second, inputs(soon)).changed == ["certificate"]
    third = update(second, inputs(soon))
    assert not HANDLER.diff(REQUEST, "secrets", inputs(soon), third, inputs(soon)).changed, "few days left: its owner's matter"
    assert HANDLER.diff(REQUEST, "secrets", inputs(soon), third, inputs()).changed
    fourth = update(third, inputs())
    x509.load_pem_x509_certificate(fourth["values"]["web_certificate"].encode()).verify_directly_issued_by(
        x509.load_pem_x509_certificate(fourth["public"]["authority_certificate"].encode())
    )
