"""Backups to object storage (`webitel:backup`): what that adds to the services that keep something worth it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address

from components.model.catalogue.service import Egress, Ports, Service
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem
from components.model.settings import Backup, Settings

URL = re.compile(
    r"https://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    r"/(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)/?"
)
EXAMPLE = "use one such as https://s3.eu-central-1.amazonaws.com/your-bucket or https://objects.your-company.com:9000/webitel/a"
PEM = re.compile(r"\s*(-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+")
LAST_PORT = 65535
CREDENTIALS = ("backup_key", "backup_secret")
"""Settings that are secrets: the bucket's log-in."""
CIPHER = "backup_cipher"
"""The secret that everything in the bucket is enciphered with."""
RCLONE = "rclone"
RECORDINGS = "recordings"
"""The purpose of the disk that they stand on."""
PROGRAMS: Mapping[str, str] = {"database": "pgbackrest", RECORDINGS: RCLONE}
"""Debian's package that backs up what stands on the disk of that purpose."""


@dataclass(frozen=True)
class Bucket:
    """Where backups go: the host and port of the object storage, the bucket, and a folder in it ("" or `/a/b`)."""

    host: str
    port: int
    name: str
    prefix: str


def read_bucket(settings: Settings) -> Bucket | None:
    """Return the bucket of these settings; None where there is none, or where what is given is none."""
    return read_url(settings.backup.url)


def read_url(url: str) -> Bucket | None:
    """Return the bucket that a URL names; None where it is none."""
    found = URL.fullmatch(url)
    if not found:
        return None
    return Bucket(found["host"], int(found["port"] or 443), found["bucket"], found["prefix"])


def check_backup(draft: Draft) -> Iterator[Problem]:
    """Find a bucket that no node could use, and settings of backups that go nowhere."""
    settings, given = draft.settings, draft.settings.backup
    if not given.url:
        # What the project's file has as default counts as not given.
        lonely = [f"backup.{name}" for name, value in given if value != getattr(Backup(), name)]
        for name in (*lonely, *(name for name in CREDENTIALS if getattr(settings, name))):
            yield setting_problem(name, "", f"there is nowhere to back up to: set webitel:backup.url; {EXAMPLE}")
        return
    bucket = read_bucket(settings)
    if bucket is None or bucket.port > LAST_PORT:
        message = f"not a bucket, which is https://, host, bucket and perhaps a folder; {EXAMPLE}"
        yield setting_problem("backup.url", given.url, message)
    elif is_address(bucket.host):
        message = f"the certificate of an address is not understood by pgBackRest, so name the host; {EXAMPLE}"
        yield setting_problem("backup.url", given.url, message)
    for name in CREDENTIALS:
        if not getattr(settings, name):
            yield setting_problem(name, "", f"the bucket's log-in is needed; pulumi config set --secret webitel:{name}")
    if given.authority and not PEM.fullmatch(given.authority):
        message = "not a certificate as PEM; it begins with -----BEGIN CERTIFICATE-----"
        yield setting_problem("backup.authority", given.authority[:40], message)
    if given.full_days > given.keep_days:
        message = (
            f"what is kept for {given.keep_days} days has to begin with a full backup within them; use {given.keep_days} or less"
        )
        yield setting_problem("backup.full_days", given.full_days, message)


def is_address(host: str) -> bool:
    """Tell whether a host is an IPv4 address."""
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def add_backup(settings: Settings, catalogue: Mapping[str, Service]) -> Mapping[str, Service]:
    """Return the catalogue with what backs up the database and the recordings, where there is a bucket."""
    bucket = read_bucket(settings)
    if bucket is None:
        return catalogue
    way = Egress("backup", "tcp", Ports(bucket.port, bucket.port))

    def add(service: Service) -> Service:
        package = next((PROGRAMS[data.disk] for data in service.data if data.disk in PROGRAMS), "")
        if not package:
            return service
        return replace(
            service,
            packages=(*service.packages, package),
            packages_by_source={source: (*names, package) for source, names in service.packages_by_source.items()},
            secrets=(*service.secrets, CIPHER),
            egress=(*service.egress, way),
        )

    return {name: add(service) for name, service in catalogue.items()}
