"""Package repositories outside Debian, by package source (`facts/webitel.md` 1.0).

A key is accepted by its fingerprint only. Where no public record of a fingerprint was found, it is the user's to state
(`webitel:repository_keys`): `gpg --show-keys FILE` prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from components.model.catalogue.service import PackageSource, Service


@dataclass(frozen=True)
class Repository:
    """One apt repository; `login` says how `/etc/apt/auth.conf.d` names who may read it."""

    name: str
    uri: str
    suite: str
    component: str
    key: str
    fingerprint: str
    login: str = ""

    def as_source(self) -> dict[str, str]:
        """Return what `cloud_init/node/install.py` needs of it."""
        return {name: value for name, value in asdict(self).items() if name != "login"}


VENDOR = (
    Repository(
        "hashicorp",
        "https://apt.releases.hashicorp.com",
        "bookworm",
        "main",
        "https://apt.releases.hashicorp.com/gpg",
        "798AEC654E5C15428C8E42EEAA16FCBCA621E701",
    ),
    Repository(
        "timescaledb",
        "https://packagecloud.io/timescale/timescaledb/debian/",
        "bookworm",
        "main",
        "https://packagecloud.io/timescale/timescaledb/gpgkey",
        "1005FB68604CE9B8F6879CF759F18EDF47F24417",
    ),
    Repository(
        "grafana",
        "https://apt.grafana.com",
        "stable",
        "main",
        "https://apt.grafana.com/gpg.key",
        "B53AE77BADB630A683046005963FA27710458545",
    ),
    Repository(
        "opensips", "https://apt.opensips.org", "bookworm", "3.4-releases", "https://apt.opensips.org/opensips-org.gpg", ""
    ),
    Repository(
        "freeswitch",
        "https://freeswitch.signalwire.com/repo/deb/debian-release/",
        "bookworm",
        "main",
        "https://freeswitch.signalwire.com/repo/deb/debian-release/signalwire-freeswitch-repo.gpg",
        "",
        login="machine freeswitch.signalwire.com login signalwire password {freeswitch_token}",
    ),
    # apt refuses credentials for plain http unless the line names the scheme.
    Repository(
        "webitel",
        "http://deb.webitel.com/debian",
        "bookworm",
        "main 25.08-releases",
        "http://deb.webitel.com/webitel-repo.gpg",
        "",
        login="machine http://deb.webitel.com login {repository_user} password {repository_password}",
    ),
)

REPOSITORY_NAMES = (*(repository.name for repository in VENDOR), "mirror")
"""What `webitel:repository_keys` has fingerprints for."""

CREDENTIALS = ("repository_user", "repository_password", "freeswitch_token")
"""Settings that are secrets: they reach a node like any other secret."""


def needed_repositories(
    source: PackageSource,
    services: Iterable[Service],
    fingerprints: Mapping[str, str],
    mirror: str,
) -> tuple[Repository, ...]:
    """Return the repositories of a node's services. A mirror holds all of them under one roof, signed by keys of its own."""
    names = {name for service in services for name in service.repositories}
    if source is PackageSource.SANDBOX:
        return ()
    if source is PackageSource.MIRROR:
        key = f"{mirror.rstrip('/')}/key.gpg"
        return (Repository("mirror", mirror, "bookworm", "main", key, fingerprints.get("mirror", "")),)
    return tuple(
        Repository(**{**vars(repository), "fingerprint": fingerprints.get(repository.name, repository.fingerprint)})
        for repository in VENDOR
        if repository.name in names
    )


def list_plain_logins(source: PackageSource, mirror: str) -> tuple[str, ...]:
    """List the addresses to which credentials would go by plain http, readable on the way; without the credentials."""
    if source is PackageSource.VENDOR:
        return tuple(entry.uri for entry in VENDOR if entry.login and any(map(is_plain, (entry.uri, entry.key))))
    if source is PackageSource.MIRROR and is_plain(mirror) and "@" in urlsplit(mirror).netloc:
        parts = urlsplit(mirror)
        return (parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),)
    return ()


def is_plain(address: str) -> bool:
    """Tell whether an address is reached by plain http."""
    return urlsplit(address).scheme == "http"


def missing_fingerprints(source: PackageSource, fingerprints: Mapping[str, str]) -> tuple[str, ...]:
    """Find repositories whose key nobody vouches for yet."""
    if source is PackageSource.SANDBOX:
        return ()
    known = {"mirror": ""} if source is PackageSource.MIRROR else {entry.name: entry.fingerprint for entry in VENDOR}
    return tuple(name for name, fingerprint in known.items() if not fingerprints.get(name, fingerprint))
