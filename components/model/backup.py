"""Backups to object storage (`webitel:backup`): what that adds to the services that keep something worth it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import AddressValueError, IPv4Address

from components.model.catalogue.service import Egress, Ports, Service
from components.model.clouds.buckets import Language
from components.model.clouds.facts import CloudFacts
from components.model.planning.draft import Draft
from components.model.problems import PlanError, Problem, set_secret, setting_problem
from components.model.settings import Backup, Settings

PLACE = r"(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?P<prefix>(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)/?"
URL = re.compile(
    r"https://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::(?P<port>[0-9]{1,5}))?"
    rf"/{PLACE}"
)
GOOGLE_SCHEME = "gs://"
GOOGLE_URL = re.compile(rf"{GOOGLE_SCHEME}{PLACE}")
"""A bucket of Google's in its own language, which has one host; in S3 it is one of the others."""
GOOGLE_HOST = "storage.googleapis.com"
EXAMPLE = "use one such as https://s3.eu-central-1.amazonaws.com/your-bucket or https://objects.your-company.com:9000/webitel/a"
OWN_EXAMPLE = "your-company-webitel"
PEM = re.compile(r"\s*(-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+")
LAST_PORT = 65535
HTTPS_PORT = 443
AZURE_ENDPOINT = "blob.core.windows.net"
VERSION_DAYS = 30
"""At least so long a bucket that the deployment makes keeps what was deleted or replaced in it."""
CREDENTIALS = ("backup_key", "backup_secret")
"""Settings that are secrets: the bucket's log-in."""
LOGINS: Mapping[Language, tuple[str, ...]] = {
    Language.S3: CREDENTIALS,
    Language.GOOGLE: CREDENTIALS[1:],
    Language.AZURE: CREDENTIALS[1:],
}
"""Which of them there are: the file of a key of Google's says itself whose it is, a shared access signature what it is for."""
BUCKET_KEY = CREDENTIALS[0]
"""By this name `webitel:rotate` has another key made for the bucket that the deployment makes."""
CIPHER = "backup_cipher"
"""The secret that everything in the bucket is enciphered with."""
RCLONE = "rclone"
RECORDINGS = "recordings"
"""The purpose of the disk that they stand on."""
PROGRAMS: Mapping[str, str] = {"database": "pgbackrest", RECORDINGS: RCLONE}
"""Debian's package that backs up what stands on the disk of that purpose."""


@dataclass(frozen=True)
class Bucket:
    """Where backups go: the host and port of the object storage, the bucket, a folder in it ("" or `/a/b`), its region, and what
    its host speaks."""

    host: str
    port: int
    name: str
    prefix: str
    region: str = field(default="", compare=False)
    language: Language = Language.S3

    @property
    def login(self) -> tuple[str, ...]:
        """Which settings are its log-in."""
        return LOGINS[self.language]

    @property
    def account(self) -> str:
        """The account of Azure's that has it."""
        return self.host.partition(".")[0]

    @property
    def endpoint(self) -> str:
        """Where accounts of Azure's are."""
        return self.host.partition(".")[2]

    @property
    def url(self) -> str:
        """What `webitel:backup.url` and `--from` say."""
        if self.language is Language.GOOGLE:
            return f"{GOOGLE_SCHEME}{self.name}{self.prefix}"
        port = "" if self.port == HTTPS_PORT else f":{self.port}"
        return f"https://{self.host}{port}/{self.name}{self.prefix}"


def read_bucket(settings: Settings, facts: CloudFacts) -> Bucket | None:
    """Return the bucket of these settings; None where there is none, or where what is given is none."""
    given = settings.backup
    if given.bucket and facts.buckets:
        region = settings.region or facts.default_region
        host = facts.buckets.host.format(region=region)
        return Bucket(host, HTTPS_PORT, given.bucket, "", region, facts.buckets.language)
    found = read_url(given.url)
    return replace(found, region=given.region) if found else None


def list_own_buckets(settings: Settings) -> list[str]:
    """Return the names of the buckets that the deployment makes or made, the one in use first."""
    return list(dict.fromkeys(name for name in (settings.backup.bucket, *settings.backup.kept_buckets) if name))


def refuse_to_lose_buckets(settings: Settings, made: Collection[str]) -> None:
    """Raise a PlanError where the settings name no more what an earlier `up` made: backups are not left behind unsaid."""
    own = list_own_buckets(settings)
    if lost := [name for name in made if name not in own]:
        kept = ", ".join([*settings.backup.kept_buckets, *lost])
        message = f"{', '.join(lost)} holds backups of this deployment and stays; say so: webitel:backup.kept_buckets: [{kept}]"
        raise PlanError([setting_problem("backup.bucket", settings.backup.bucket or "none", message)])


def keep_versions_days(settings: Settings, most: int = 0) -> int:
    """Return for how many days a bucket that the deployment makes keeps what was deleted or replaced in it: as long as backups
    are kept, so that whoever finds out within that time that all were deleted has all of them; at most as long as the cloud
    can (0: for ever)."""
    days = max(VERSION_DAYS, settings.backup.keep_days)
    return min(days, most or days)


def read_url(url: str) -> Bucket | None:
    """Return the bucket that a URL names; None where it is none."""
    if found := GOOGLE_URL.fullmatch(url):
        return Bucket(GOOGLE_HOST, HTTPS_PORT, found["bucket"], found["prefix"], language=Language.GOOGLE)
    found = URL.fullmatch(url)
    if not found:
        return None
    language = Language.AZURE if found["host"].endswith(f".{AZURE_ENDPOINT}") else Language.S3
    return Bucket(found["host"], int(found["port"] or HTTPS_PORT), found["bucket"], found["prefix"], language=language)


def check_backup(draft: Draft) -> Iterator[Problem]:
    """Find a bucket that no node could use, and settings of backups that go nowhere."""
    settings, given = draft.settings, draft.settings.backup
    if own := list_own_buckets(settings):
        yield from check_own_buckets(draft, own)
    if given.bucket:
        yield from check_alone(draft)
    elif not given.url:
        # What the project's file has as default counts as not given.
        lonely = [f"backup.{name}" for name, value in given if name != "kept_buckets" and value != getattr(Backup(), name)]
        for name in (*lonely, *(name for name in CREDENTIALS if getattr(settings, name))):
            yield setting_problem(name, "", f"there is nowhere to back up to: set webitel:backup.url; {EXAMPLE}")
        return
    else:
        yield from check_url(settings)
    if given.authority and not PEM.fullmatch(given.authority):
        message = "not a certificate as PEM; it begins with -----BEGIN CERTIFICATE-----"
        yield setting_problem("backup.authority", given.authority[:40], message)
    if given.full_days > given.keep_days:
        message = (
            f"what is kept for {given.keep_days} days has to begin with a full backup within them; use {given.keep_days} or less"
        )
        yield setting_problem("backup.full_days", given.full_days, message)


def check_url(settings: Settings) -> Iterator[Problem]:
    """Find what is wrong with a bucket that is there, and with its log-in."""
    url, bucket = settings.backup.url, read_url(settings.backup.url)
    if bucket is None or bucket.port > LAST_PORT:
        message = f"not a bucket, which is https://, host, bucket and perhaps a folder, or gs:// and a bucket; {EXAMPLE}"
        yield setting_problem("backup.url", url, message)
    elif is_address(bucket.host):
        message = f"the certificate of an address is not understood by pgBackRest, so name the host; {EXAMPLE}"
        yield setting_problem("backup.url", url, message)
    login = bucket.login if bucket else CREDENTIALS
    for name in login:
        if not getattr(settings, name):
            yield setting_problem(name, "", f"the bucket's log-in is needed; {set_secret(name)}")
    for name in CREDENTIALS:
        if name not in login and getattr(settings, name):
            message = f"{url} is opened by webitel:{CREDENTIALS[1]} alone; remove it"
            yield setting_problem(name, "set", message)


def warn_of_bucket(settings: Settings) -> Iterator[str]:
    """Say where backups would pile up (`facts/backups.md` 5.2)."""
    bucket = read_url(settings.backup.url)
    if bucket and bucket.host == GOOGLE_HOST and bucket.language is Language.S3:
        yield (
            "webitel:backup.url: Google's S3 interface does not delete several objects in one request, as pgBackRest does: "
            f"nothing expires there; use {replace(bucket, language=Language.GOOGLE).url}"
        )


def check_own_buckets(draft: Draft, names: Collection[str]) -> Iterator[Problem]:
    """Find why buckets of these names cannot be made."""
    kinds = draft.facts.buckets
    for name in names:
        setting = "backup.bucket" if name == draft.settings.backup.bucket else "backup.kept_buckets"
        if kinds is None:
            message = f"no bucket is made on {draft.facts.title}; set webitel:backup.url to an S3-compatible one"
            yield setting_problem(setting, name, f"{message}: {EXAMPLE}")
        elif why := kinds.explain(name):
            yield setting_problem(setting, name, f"{why}; use one such as {OWN_EXAMPLE}")


def check_alone(draft: Draft) -> Iterator[Problem]:
    """Find what only a bucket has that is there already."""
    settings, given = draft.settings, draft.settings.backup
    if given.url:
        message = "webitel:backup.bucket names one that the deployment makes; keep one of them"
        yield setting_problem("backup.url", given.url, message)
        return
    for name in ("region", "authority"):
        if (value := getattr(given, name)) != getattr(Backup(), name):
            message = f"of a bucket that is there; webitel:backup.bucket is made in {draft.region}; remove it"
            yield setting_problem(f"backup.{name}", value[:40], message)
    for name in CREDENTIALS:
        if getattr(settings, name):
            yield setting_problem(name, "set", "the deployment makes the log-in of webitel:backup.bucket itself; remove it")


def is_address(host: str) -> bool:
    """Tell whether a host is an IPv4 address."""
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def add_backup(settings: Settings, catalogue: Mapping[str, Service]) -> Mapping[str, Service]:
    """Return the catalogue with what backs up the database and the recordings, where there is a bucket."""
    bucket = read_url(settings.backup.url)
    if bucket is None and not settings.backup.bucket:
        return catalogue
    port = bucket.port if bucket else HTTPS_PORT
    way = Egress("backup", "tcp", Ports(port, port))

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
