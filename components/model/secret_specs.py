"""The secrets of a deployment: generated once, kept encrypted in the state, named here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class SecretKind(StrEnum):
    """How a secret is made. Passwords use `[A-Za-z0-9_-]`, which survives every file they go into (`facts/webitel.md` 3)."""

    PASSWORD = "password"
    BASE64_KEY = "32 bytes in base64"
    COOKIE_KEYS = "two keys of 32 characters"
    RSA_PKCS1 = "RSA 2048, PKCS#1 PEM"
    SSH_KEY = "Ed25519 key, OpenSSH"
    AUTHORITY = "certificate authority, PEM"
    CERTIFICATE = "server certificate with its key, PEM"
    ACCOUNT_KEY = "ECDSA P-256 key of an ACME account, PEM"
    THUMBPRINT = "thumbprint of the ACME account's key (RFC 7638)"
    UUID = "UUID"
    MEMBER_CERTIFICATE = "certificate of every member of a group, trusted by them alone, with its key, PEM"
    NODES_AUTHORITY = "certificate authority among nodes, PEM"
    ROOT = "certificate of the authority among nodes, PEM"
    NODE_CERTIFICATE = "certificate of a service towards other nodes, with its key, PEM"


@dataclass(frozen=True)
class SecretSpec:
    """One secret. `public` is the name of the output with its public half, where it has one; `host` the name that a
    certificate among nodes is for, with `loopback` the address that clients reach it by too. What is `together` must be the same
    on all its nodes at the same moment: no rotation, which goes from node to node, leads there. `probed`: the node program logs
    in with it, so that each node with it keeps it in a file that only root can read. `of_data`: it goes wherever the
    database and recordings are restored, which hold what is worth nothing without it."""

    name: str
    kind: SecretKind
    use: str
    public: str = ""
    host: str = ""
    loopback: bool = False
    together: bool = False
    probed: bool = False
    of_data: bool = False


BROKER_HOST = "broker.webitel.nodes"
"""In the broker's certificate; HAProxy on each node compares it, and the name leads nowhere."""

_all = (
    SecretSpec("database_password", SecretKind.PASSWORD, "role opensips, owner of the database webitel", probed=True),
    SecretSpec("postgres_password", SecretKind.PASSWORD, "PostgreSQL superuser"),
    SecretSpec("replication_password", SecretKind.PASSWORD, "PostgreSQL replication"),
    SecretSpec("rewind_password", SecretKind.PASSWORD, "pg_rewind"),
    SecretSpec("patroni_password", SecretKind.PASSWORD, "Patroni's REST interface"),
    SecretSpec("grafana_database_password", SecretKind.PASSWORD, "read-only role of Grafana"),
    SecretSpec("grafana_store_password", SecretKind.PASSWORD, "role grafana_store, owner of Grafana's own database"),
    SecretSpec("broker_password", SecretKind.PASSWORD, "RabbitMQ user webitel", probed=True),
    SecretSpec("broker_cookie", SecretKind.PASSWORD, "Erlang cookie of the RabbitMQ nodes", probed=True),
    SecretSpec("consul_gossip_key", SecretKind.BASE64_KEY, "Consul gossip encryption", probed=True),
    SecretSpec(
        "consul_certificate",
        SecretKind.MEMBER_CERTIFICATE,
        "Consul agents and servers among themselves",
        host="server.webitel.consul",
        probed=True,
    ),
    SecretSpec("consul_management_token", SecretKind.UUID, "Consul's access lists", probed=True),
    SecretSpec("consul_database_token", SecretKind.UUID, "Patroni's keys in Consul", probed=True),
    SecretSpec("consul_program_token", SecretKind.UUID, "the node program's keys in Consul", probed=True),
    SecretSpec("consul_agent_key", SecretKind.PASSWORD, "tokens of Consul's agents, one a node, are made with it", probed=True),
    SecretSpec("esl_password", SecretKind.PASSWORD, "FreeSWITCH event socket", probed=True),
    SecretSpec("grafana_password", SecretKind.PASSWORD, "Grafana user admin", of_data=True),
    SecretSpec("cookie_keys", SecretKind.COOKIE_KEYS, "session cookies of the API gateway", of_data=True),
    SecretSpec("storage_key", SecretKind.RSA_PKCS1, "signed URLs and stored encrypted values", of_data=True),
    SecretSpec("ssh_key", SecretKind.SSH_KEY, "configuration of the nodes over SSH", public="ssh_public_key"),
    SecretSpec("host_key_seed", SecretKind.BASE64_KEY, "host keys of new machines, keys of the mesh", together=True),
    SecretSpec("authority", SecretKind.AUTHORITY, "signs the deployment's own certificates", public="authority_certificate"),
    SecretSpec("web_certificate", SecretKind.CERTIFICATE, "nginx and SIP over TLS, until a public certificate is there"),
    SecretSpec("nodes_authority", SecretKind.NODES_AUTHORITY, "signs certificates that only nodes look at", together=True),
    SecretSpec("nodes_root", SecretKind.ROOT, "what clients on nodes hold those certificates against", together=True),
    SecretSpec(
        "database_certificate",
        SecretKind.NODE_CERTIFICATE,
        "PostgreSQL towards other nodes",
        host="database.webitel.nodes",
        loopback=True,
    ),
    SecretSpec("broker_certificate", SecretKind.NODE_CERTIFICATE, "RabbitMQ towards other nodes", host=BROKER_HOST),
    SecretSpec("acme_account_key", SecretKind.ACCOUNT_KEY, "account at the issuer of the public certificate"),
    SecretSpec("acme_thumbprint", SecretKind.THUMBPRINT, "nginx's answer to that issuer's question"),
    SecretSpec("backup_cipher", SecretKind.PASSWORD, "everything in the backup's bucket", together=True),
    SecretSpec("certificate_password", SecretKind.PASSWORD, "encrypts the public certificate that nodes share in Consul"),
)

SECRETS: Mapping[str, SecretSpec] = {spec.name: spec for spec in _all}

DEPLOYMENT_SECRETS = ("ssh_key", "host_key_seed", "authority", "nodes_authority")
"""Kept in the state and used by the provider; no node gets them."""
