"""What is wrong with single values: names, networks, keys, credentials; and which values are only documentation."""

from __future__ import annotations

import base64
import binascii
import re
import struct
import zoneinfo
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import IPv4Network

from components.model.calls import check_calls
from components.model.catalogue.repositories import missing_fingerprints
from components.model.catalogue.service import PackageSource
from components.model.catalogue.services import CATALOGUE
from components.model.clouds.facts import CLOUDS, Cloud
from components.model.planning.addresses import networks_given
from components.model.planning.dns import read_zone
from components.model.problems import Problem, setting_problem
from components.model.secrets import SECRETS
from components.model.settings import Settings
from components.model.share import check_share, resolve_catalogue
from components.model.versions import VERSION, known_packages

DOCUMENTATION_NETWORKS = tuple(IPv4Network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))
"""RFC 5737."""

DOCUMENTATION_DOMAIN = re.compile(r"(.+\.)?(example(\.(com|net|org))?|test|invalid|localhost)")
"""RFC 2606."""

WORLD_PREFIX = 8
"""A network shorter than this is no office, VPN or carrier."""

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})+", re.IGNORECASE)
BASTION = re.compile(rf"[a-z_][-a-z0-9_.]*@({HOST.pattern}|{LABEL}|\d+(\.\d+){{3}})(:\d{{1,5}})?", re.IGNORECASE)
KEY_TYPES = (
    "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
)


def resolve_package_source(settings: Settings) -> PackageSource:
    """Where packages come from: as set, else the sandbox on containers and the vendor on a cloud."""
    return settings.package_source or (PackageSource.SANDBOX if CLOUDS[settings.cloud].trial else PackageSource.VENDOR)


def check_values(settings: Settings, cloud: Cloud) -> Iterator[Problem]:
    """Every single value that cannot be right."""
    if not HOST.fullmatch(settings.domain) or re.fullmatch(r"[\d.]+", settings.domain):
        yield setting_problem("domain", settings.domain, "not a host name; use one such as voice.your-company.com")
    yield from check_zone(settings, cloud)
    if not re.fullmatch(cloud.region_shape, settings.region or cloud.default_region):
        yield setting_problem(
            "region", settings.region, f"no region of {cloud.title}; use one such as {cloud.default_region}")
    if settings.zone and settings.zone not in cloud.zones:
        use = f"use one of {', '.join(cloud.zones)}" if cloud.zones else "it has none, remove the setting"
        yield setting_problem("zone", settings.zone, f"no zone of {cloud.title}; {use}")
    if settings.ssh_via and not BASTION.fullmatch(settings.ssh_via):
        yield setting_problem("ssh_via", settings.ssh_via, "must be user@host, such as admin@bastion.your-company.com")
    if re.search(r"\s", settings.image) or (settings.image == "base" and not cloud.trial):
        yield setting_problem("image", settings.image, "not an image; leave it empty for the newest Debian 12")
    if cloud.trial and settings.image not in ("", "base"):
        yield setting_problem(
            "image", settings.image, "on local use base, or leave it empty for the image with the packages in it")
    yield from check_networks(settings)
    yield from check_calls(settings)
    yield from check_time_zone(settings.time_zone)
    for key in settings.operator_keys:
        if why := explain_key(key):
            shown = key if len(key) <= 40 else f"{key[:37]}..."
            yield setting_problem("operator_keys", shown, f"{why}; use a line such as ssh-ed25519 AAAA... you@office")
    mirrored = resolve_package_source(settings) is PackageSource.MIRROR
    if mirrored and not re.fullmatch(r"https?://[^\s/]+\S*", settings.mirror):
        yield setting_problem("mirror", settings.mirror, (
            "with webitel:package_source = mirror it must be the base URL of your mirror, "
            "such as https://packages.your-company.com"))
    yield from check_share(settings, cloud)
    yield from check_versions(settings)
    for name, generation in settings.rotate.items():
        if name not in SECRETS:
            near = get_close_matches(name, SECRETS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SECRETS)}"
            yield setting_problem(f"rotate.{name}", generation, f"no secret of that name; {hint}")
        elif generation < 1:
            yield setting_problem(f"rotate.{name}", generation, "counts from 1; use 2 to rotate it for the first time")
        elif SECRETS[name].together and generation > 1:
            can = ", ".join(spec.name for spec in SECRETS.values() if not spec.together)
            yield setting_problem(f"rotate.{name}", generation, (
                f"all its nodes need the same one at the same moment, so it is not rotated while they run; these can be: {can}"))


def check_versions(settings: Settings) -> Iterator[Problem]:
    """Versions of packages that no service has, or that are no versions."""
    known = known_packages(resolve_package_source(settings), resolve_catalogue(settings))
    for name, version in settings.package_versions.items():
        setting = f"package_versions.{name}"
        if name not in known:
            # A service's name is what a person thinks of first.
            first = CATALOGUE[name].packages[:1] if name in CATALOGUE else ()
            near = first or get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "use one such as webitel-engine"
            yield setting_problem(setting, version, f"no service has a package of that name; {hint}")
        elif not VERSION.fullmatch(version):
            yield setting_problem(setting, version, "not a version of a Debian package; use one such as 25.08.3-1")


def check_zone(settings: Settings, cloud: Cloud) -> Iterator[Problem]:
    """A DNS zone that the cloud does not have, cannot find or that does not hold the domain."""
    if not settings.dns_zone:
        return
    zone, domain = read_zone(settings.dns_zone), settings.domain.lower()
    title, _, example = cloud.dns_key.partition(", ")
    if not cloud.dns:
        message = f"{cloud.title} has no DNS; remove the setting, and the records to be copied are in the stack's outputs"
    elif not HOST.fullmatch(zone.name) or not re.fullmatch(r"[\w().-]*", zone.key):
        message = "not a zone; use one such as your-company.com"
    elif domain != zone.name and not domain.endswith(f".{zone.name}"):
        message = f"webitel:domain = {domain} is not in it; use the zone of the domain, such as {domain.partition('.')[2]}"
    elif bool(zone.key) != bool(title):
        use = f"{example}/{zone.name} ({title} before the slash)" if title else zone.name
        message = f"{cloud.title} finds a zone by {'more than ' if title else ''}its name; use {use}"
    else:
        return
    yield setting_problem("dns_zone", settings.dns_zone, message)


def check_networks(settings: Settings) -> Iterator[Problem]:
    """Networks of people that are the whole world."""
    instead = {
        "operators": "SSH would be open to the world; use your office or VPN network, such as 203.0.113.0/24",
        "carriers": "SIP would be open to the world; use your carrier's networks, such as 198.51.100.0/24",
        "phones": "SIP would be open to the world; use networks such as 192.0.2.0/24, or internet if you mean it",
    }
    for name, message in instead.items():
        for network in networks_given(settings, name):
            if network.prefixlen < WORLD_PREFIX:
                yield setting_problem(name, network, message)


def check_time_zone(name: str) -> Iterator[Problem]:
    """A time zone that the time zone database does not have."""
    try:
        zoneinfo.ZoneInfo(name)
        return
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
    if not known and re.fullmatch(r"[A-Za-z_]+(/[-A-Za-z_+0-9]+)*", name):
        return  # this machine has no time zone database: the node's own decides
    by_end = [zone for zone in known if zone.rpartition("/")[2].lower() == name.rpartition("/")[2].lower()]
    near = by_end or get_close_matches(name, known, 1)
    use = near[0] if near else "one such as Europe/Berlin"
    yield setting_problem("time_zone", name, f"no such time zone; use {use}")


def explain_key(line: str) -> str:
    """Why a line is no SSH public key; "" = it is one."""
    kind, _, rest = line.partition(" ")
    if kind not in KEY_TYPES:
        return f"not a public key, which begins with {', '.join(KEY_TYPES[:3])} ..."
    try:
        blob = base64.b64decode(rest.split(" ")[0], validate=True)
        (length,) = struct.unpack_from(">I", blob)
    except (binascii.Error, ValueError, struct.error):
        return "the second word is not the key in base64, perhaps cut"
    if blob[4 : 4 + length] != kind.encode():
        return f"the key inside is not of type {kind}"
    return "" if len(blob) > 4 + length else "the key is cut"


def documentation_values(settings: Settings) -> tuple[Problem, ...]:
    """What must be set before anything is created: values that are only documentation, nobody to log in, credentials.

    `plan` and `render` work with them; `up` and `doctor` refuse them. Empty where the cloud is not real, but for
    credentials, which every cloud needs with the vendor's packages.
    """
    find = find_documentation_values if CLOUDS[settings.cloud].real else missing_credentials
    return tuple(find(settings))


def find_documentation_values(settings: Settings) -> Iterator[Problem]:
    """As `documentation_values`, for a cloud that is real."""
    if DOCUMENTATION_DOMAIN.fullmatch(settings.domain.lower()):
        yield setting_problem("domain", settings.domain, "an example; use one such as voice.your-company.com")
    wanted = {"operators": "office or VPN", "carriers": "SIP trunks", "phones": "SIP phones"}
    for name, meant in wanted.items():
        for network in networks_given(settings, name):
            if any(network.overlaps(example) for example in DOCUMENTATION_NETWORKS):
                yield setting_problem(name, network, f"an example; use the network of your {meant}")
    if not settings.operators:
        yield setting_problem("operators", "", (
            "nobody could reach the nodes to configure them; set your office or VPN network, such as 203.0.113.0/24"))
    yield from missing_credentials(settings)


def missing_credentials(settings: Settings) -> Iterator[Problem]:
    """What the package source needs and is not set: the vendor's credentials, fingerprints of repository keys."""
    for name in missing_fingerprints(resolve_package_source(settings), settings.repository_keys):
        yield setting_problem(f"repository_keys.{name}", "", (
            "a repository's key is accepted by its fingerprint only, and no public record of this one was found; compare it with "
            "your supplier's and set it, such as 0123456789ABCDEF0123456789ABCDEF01234567 (gpg --show-keys FILE prints it)"))
    yield from missing_secrets(settings)


def missing_secrets(settings: Settings) -> Iterator[Problem]:
    """The vendor's credentials that the package source needs and that are not set."""
    if resolve_package_source(settings) is PackageSource.VENDOR:
        for name in ("repository_user", "repository_password", "freeswitch_token"):
            if not getattr(settings, name):
                message = f"needed for the vendor's packages; pulumi config set --secret webitel:{name}"
                yield setting_problem(name, "", message)
