"""A certificate that the owner provides: what is wrong with it, and its parts in the order that servers read."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtensionOID

_LEAST_RSA_BITS, _MOST_RSA_BITS = 2048, 4096
"""OpenSSL of Debian refuses a shorter key; a longer one does not fit into the table from which OpenSIPS reads it
(`facts/telephony-real.md` D)."""

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


class ProvidedError(ValueError):
    """The text cannot be used; the message says why and what is wanted, and nothing of the text."""


@dataclass(frozen=True)
class Provided:
    """A key, and its certificate with those of its issuers, the nearest first."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]

    def text(self) -> str:
        """Return key and certificates as one PEM."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        return key + "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in self.chain)


def read(text: str) -> Provided:
    """Read key and chain, in whatever order they stand. Raises ProvidedError."""
    blocks = [(found[1], found[0].encode()) for found in _BLOCK.finditer(text.replace("\r\n", "\n"))]
    keys = [block for kind, block in blocks if kind.endswith("PRIVATE KEY")]
    if len(keys) != 1:
        raise ProvidedError(f"it has {len(keys) or 'no'} private key{'s' if keys else ''}; exactly one belongs in it, as PEM")
    try:
        key = serialization.load_pem_private_key(keys[0], password=None)
    except TypeError as error:
        raise ProvidedError("its key is encrypted; take its passphrase off: openssl pkey -in key.pem -out plain.pem") from error
    except ValueError as error:
        raise ProvidedError("its private key cannot be read; a PEM of RSA or ECDSA is needed") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ProvidedError("its key is of a kind that browsers do not take; use RSA of 2048 to 4096 bits or ECDSA P-256")
    if isinstance(key, rsa.RSAPrivateKey) and not _LEAST_RSA_BITS <= key.key_size <= _MOST_RSA_BITS:
        raise ProvidedError(f"its RSA key has {key.key_size} bits; use {_LEAST_RSA_BITS} to {_MOST_RSA_BITS}")
    try:
        found = [x509.load_pem_x509_certificate(block) for kind, block in blocks if kind == "CERTIFICATE"]
    except ValueError as error:
        raise ProvidedError("one of its certificates cannot be read") from error
    own = [one for one in found if _spki(one.public_key()) == _spki(key.public_key())]
    if not own:
        raise ProvidedError("no certificate in it is that of its key; put certificate, issuers and key into it")
    return Provided(key, tuple(_order(own[0], [one for one in found if one not in own])))


def check(provided: Provided, names: Sequence[str], now: datetime.datetime) -> Iterator[str]:
    """Tell what would make browsers and phones refuse it."""
    leaf = provided.chain[0]
    covered = _names_of(leaf)
    for name in names:
        if not any(_covers(pattern, name) for pattern in covered):
            yield f"it is not for {name} but for {', '.join(covered) or 'no name at all'}; get one for all names of the web"
    if leaf.not_valid_before_utc > now:
        yield f"it is valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC only"
    for one in provided.chain:
        if one.not_valid_after_utc <= now:
            yield f"{one.subject.rfc4514_string() or 'it'} ended on {one.not_valid_after_utc:%Y-%m-%d}; get a new one"
        if isinstance(one.signature_hash_algorithm, hashes.SHA1 | hashes.MD5):
            yield f"{one.subject.rfc4514_string()} is signed with {one.signature_hash_algorithm.name}, which nobody takes"
    # Only the certificate itself can tell: those of its issuers may well end one below the root, which everybody has.
    if len(provided.chain) == 1 and leaf.issuer != leaf.subject and _names_issuer(leaf):
        yield f"the certificate of its issuer {leaf.issuer.rfc4514_string()} is missing; use the whole chain (fullchain.pem)"


def _order(leaf: x509.Certificate, others: list[x509.Certificate]) -> Iterator[x509.Certificate]:
    """Yield the certificate and its issuers, each the signer of the one before."""
    current, left = leaf, list(others)
    while True:
        yield current
        signers = [one for one in left if _signed(current, one)]
        if not signers or current.issuer == current.subject:
            break
        current = signers[0]
        left.remove(current)
    if left:
        strangers = "; ".join(one.subject.rfc4514_string() for one in left)
        raise ProvidedError(f"certificates in it that did not sign another one: {strangers}; leave them out")


def _signed(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _spki(key: object) -> bytes:
    """Return a public key's own bytes, by which two are compared."""
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        return b""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _names_of(leaf: x509.Certificate) -> list[str]:
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return []  # clients have not looked at the common name for years


def _covers(pattern: str, name: str) -> bool:
    """Tell whether a name of a certificate covers a host; a star stands for one label."""
    pattern, name = pattern.lower(), name.lower()
    return pattern == name or (pattern.startswith("*.") and "." in name and pattern[2:] == name.split(".", 1)[1])


def _names_issuer(one: x509.Certificate) -> bool:
    """Tell whether it says where its issuer's certificate is to be had: a root does not."""
    try:
        access = one.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_INFORMATION_ACCESS).value
    except x509.ExtensionNotFound:
        return False
    assert isinstance(access, x509.AuthorityInformationAccess)
    return any(entry.access_method == AuthorityInformationAccessOID.CA_ISSUERS for entry in access)
