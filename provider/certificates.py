"""Keys and certificates of a deployment, as texts."""

import base64
import datetime
import hashlib
import ipaddress
import secrets

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_RSA_BITS = 2048
_BASE64_KEY_BYTES = 32
_AUTHORITY_DAYS = 3650
_NODES_AUTHORITY_DAYS = 3 * 3650  # of what no rotation replaces
_SERVER_DAYS = 825  # the longest that Apple's devices accept
_RENEW_DAYS = 60
_CLOCK_SKEW = datetime.timedelta(hours=1)


def make_base64_key() -> str:
    """Make 32 random bytes, in base64."""
    return base64.b64encode(secrets.token_bytes(_BASE64_KEY_BYTES)).decode()


def make_rsa_key() -> tuple[str, str]:
    """Make an RSA key as PKCS#1 PEM, the only form the vendor's storage reads (`facts/webitel.md` 3); no public half."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return pem.decode(), ""


def make_account_key() -> tuple[str, str]:
    """Make an ECDSA P-256 key as SEC 1 PEM, the form that lego reads; its thumbprint is a secret of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return pem.decode(), ""


def thumbprint(account_key: str) -> str:
    """Return the thumbprint of an account's key, by which each challenge of its orders is answered (RFC 8555 8.1, RFC 7638)."""
    key = serialization.load_pem_private_key(account_key.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "make_account_key made it"
    numbers = key.public_key().public_numbers()
    x, y = (_url_base64(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
    # The members in this order and without a blank: that is what is hashed.
    return _url_base64(hashlib.sha256(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode()).digest())


def _url_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_ssh_key() -> tuple[str, str]:
    """Make an Ed25519 key in OpenSSH's format, and its line for authorized_keys."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} webitel"


def make_nodes_authority() -> tuple[str, str]:
    """Make the certificate authority among nodes (30 years), as one PEM with its key; its certificate is a secret of its own."""
    return make_authority(_NODES_AUTHORITY_DAYS)[0], ""


def make_authority(days: int = _AUTHORITY_DAYS) -> tuple[str, str]:
    """Make a certificate authority (10 years): key and certificate as one PEM, and the certificate alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Webitel deployment authority")])
    public = key.public_key()
    certificate = (
        _start_certificate(name, name, public, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return _show_key(key) + text, text


def sign_server(authority: str, domain: str) -> str:
    """Sign a server certificate for the domain (825 days) with the authority: key and certificate as one PEM."""
    return _sign(authority, domain, [x509.DNSName(domain)], _SERVER_DAYS)


def sign_node(authority: str, host: str, *, loopback: bool) -> str:
    """Sign the certificate of a service towards other nodes (10 years): key and certificate as one PEM.

    With `loopback` for who is reached through HAProxy on the client's own loopback, and compared by that address. Nothing else
    that the authority signs may be for it: each holder can answer in this service's place.
    """
    names: list[x509.GeneralName] = [x509.DNSName(host)]
    if loopback:
        names += [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    return _sign(authority, host, names, _AUTHORITY_DAYS)


def show_certificate(pem: str) -> str:
    """Return the certificate alone of what is kept with its key."""
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(serialization.Encoding.PEM).decode()


def _sign(authority: str, title: str, names: list[x509.GeneralName], days: int) -> str:
    issuer = x509.load_pem_x509_certificate(authority.encode())
    issuer_key = serialization.load_pem_private_key(authority.encode(), password=None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey), "make_authority made it"
    key = ec.generate_private_key(ec.SECP256R1())
    # A common name has at most 64 characters; clients look at the alternative names only.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title[:64])])
    certificate = (
        _start_certificate(name, issuer.subject, key.public_key(), days)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return _show_key(key) + certificate.public_bytes(serialization.Encoding.PEM).decode()


def make_member(host: str) -> str:
    """Make a certificate that is its own authority (10 years), for both ends of a connection, as one PEM with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        _start_certificate(name, name, key.public_key(), _AUTHORITY_DAYS)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _show_key(key) + certificate.public_bytes(serialization.Encoding.PEM).decode()


def ends_soon(certificate: str) -> bool:
    """Tell whether fewer than 60 days of a certificate are left."""
    end = x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc
    return end - datetime.datetime.now(datetime.UTC) < datetime.timedelta(days=_RENEW_DAYS)


def is_signed_by(authority: str, certificate: str) -> bool:
    """Tell whether the authority has signed a certificate."""
    try:
        x509.load_pem_x509_certificate(certificate.encode()).verify_directly_issued_by(
            x509.load_pem_x509_certificate(authority.encode())
        )
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _start_certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _show_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
