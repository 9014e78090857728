"""What is wrong with single values: names, networks, keys."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from difflib import get_close_matches

from components.model.backup import BUCKET_KEY, CIPHER
from components.model.catalogue.packages import is_part
from components.model.catalogue.repositories import REPOSITORY_NAMES
from components.model.catalogue.service import PackageSource
from components.model.catalogue.services import CATALOGUE
from components.model.patches import VERSION, known_packages
from components.model.planning.addresses import networks_given
from components.model.planning.dns import read_zone
from components.model.planning.draft import Draft
from components.model.problems import Problem, set_secret, setting_problem
from components.model.secret_specs import SECRETS
from components.model.update_window import LEAST_MINUTES, read_window

MIN_PREFIX_LENGTH = 8
"""A network shorter than this is no office, VPN or carrier."""

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})+", re.IGNORECASE)
BASTION = re.compile(rf"[a-z_][-a-z0-9_.]*@({HOST.pattern}|{LABEL}|\d+(\.\d+){{3}})(:\d{{1,5}})?", re.IGNORECASE)


def check_domain(draft: Draft) -> Iterator[Problem]:
    """Find a domain that is no host name."""
    domain = draft.settings.domain
    if not HOST.fullmatch(domain) or re.fullmatch(r"[\d.]+", domain):
        yield setting_problem("domain", domain, "not a host name; use one such as voice.your-company.com")


def check_web_names(draft: Draft) -> Iterator[Problem]:
    """Find a further name of the web that is no host name, and a foreign site that is no origin of a browser."""
    for name in draft.settings.web_names:
        if not HOST.fullmatch(name):
            yield setting_problem("web_names", name, "not a host name; use one such as pbx.your-company.com")
    for origin in draft.settings.web_origins:
        host = re.fullmatch(r"https://([^:/]+)(:\d{1,5})?", origin)
        if not host or not HOST.fullmatch(host[1]):
            yield setting_problem(
                "web_origins", origin, "not a site as a browser names it; use one such as https://crm.your-company.com"
            )


def check_grafana_reads(draft: Draft) -> Iterator[Problem]:
    """Find what is no schema and no table of PostgreSQL's."""
    for name in draft.settings.grafana_reads:
        if not re.fullmatch(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?", name):
            yield setting_problem("grafana_reads", name, "not a schema or table; use one such as call_center or storage.files")


def check_certificate(draft: Draft) -> Iterator[Problem]:
    """Find a certificate that is said to be provided and is not there, or is there and not used."""
    kind, given = draft.settings.certificate, draft.settings.certificate_pem
    if kind == "provided" and not given:
        how = f"cat fullchain.pem key.pem | {set_secret('certificate_pem')}"
        yield setting_problem("certificate", kind, f"webitel:certificate_pem is not set; write it by: {how}")
    if kind != "provided" and given:
        yield setting_problem("certificate", kind, "webitel:certificate_pem is set; say provided, or remove it")


def check_place(draft: Draft) -> Iterator[Problem]:
    """Find a region that the cloud does not have."""
    settings, facts = draft.settings, draft.facts
    if not re.fullmatch(facts.region_shape, draft.region):
        yield setting_problem(
            "region", settings.region, f"{facts.title} has no such region; use one such as {facts.default_region}"
        )


def check_disk_key(draft: Draft) -> Iterator[Problem]:
    """Find an encryption key that the cloud's disks cannot have."""
    key, facts = draft.settings.disk_key, draft.facts
    if key and facts.disk_keys is None:
        yield setting_problem("disk_key", key, f"disks of {facts.title} take no key of one's own; remove the setting")
    elif key and facts.disk_keys and (why := facts.disk_keys.explain(key, draft.region)):
        yield setting_problem("disk_key", key, why)


def check_tags(draft: Draft) -> Iterator[Problem]:
    """Find tags that the cloud refuses."""
    tags, facts = draft.settings.tags, draft.facts
    if facts.tags:
        yield from facts.tags.find_problems(tags, facts.title)
    elif tags and facts.in_earnest:
        yield setting_problem("tags", ", ".join(tags), f"nothing on {facts.title} wears any; remove the setting")
    elif tags:
        yield setting_problem("tags", next(iter(tags)), f"nothing can have tags on {facts.name}; remove the setting")


def check_bastion(draft: Draft) -> Iterator[Problem]:
    """Find a way in of the user's own that is none."""
    bastion = draft.settings.ssh_via
    if bastion and not BASTION.fullmatch(bastion):
        yield setting_problem("ssh_via", bastion, "must be user@host, such as admin@bastion.your-company.com")


def check_image(draft: Draft) -> Iterator[Problem]:
    """Find an image that the cloud cannot have."""
    image, trial = draft.settings.image, draft.facts.trial
    if re.search(r"\s", image) or (image == "base" and not trial):
        yield setting_problem("image", image, "not an image; leave it empty for the newest Debian 12")
    if image and draft.facts.given:
        yield setting_problem("image", image, f"{draft.facts.title} have Debian 12 already; remove the setting")
    shape, meant = draft.facts.image_shape
    if image and shape and not re.fullmatch(shape, image):
        yield setting_problem("image", image, f"not an image on {draft.facts.title}; use {meant}")
    if trial and image not in ("", "base"):
        yield setting_problem("image", image, "on local use base, or leave it empty for the image with the packages in it")


def check_mirror(draft: Draft) -> Iterator[Problem]:
    """Find a package source `mirror` without the address of one."""
    mirror = draft.settings.mirror
    if draft.package_source is PackageSource.MIRROR and not re.fullmatch(r"https?://[^\s/]+\S*", mirror):
        yield setting_problem(
            "mirror",
            mirror,
            (
                "with webitel:package_source = mirror it must be the base URL of your mirror, "
                "such as https://packages.your-company.com"
            ),
        )


def check_rotation(draft: Draft) -> Iterator[Problem]:
    """Find generations of secrets that there are not, or that cannot be rotated."""
    for name, generation in draft.settings.rotate.items():
        if name == BUCKET_KEY and not draft.settings.backup.bucket:
            yield setting_problem(
                f"rotate.{name}", generation, "the bucket is your own: give its new log-in as webitel:backup_key"
            )
        elif name not in (*SECRETS, BUCKET_KEY):
            near = get_close_matches(name, SECRETS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(SECRETS)}"
            yield setting_problem(f"rotate.{name}", generation, f"no secret of that name; {hint}")
        elif generation < 1:
            yield setting_problem(f"rotate.{name}", generation, "counts from 1; use 2 to rotate it for the first time")
        elif name == BUCKET_KEY:
            continue
        elif name == CIPHER and generation > 1:
            message = "what is in the backup's bucket would be lost: this one stays as long as the deployment"
            yield setting_problem(f"rotate.{name}", generation, message)
        elif SECRETS[name].together and generation > 1:
            can = ", ".join(spec.name for spec in SECRETS.values() if not spec.together)
            yield setting_problem(
                f"rotate.{name}",
                generation,
                (f"all its nodes need the same one at the same moment, so it cannot be rotated while they run; these can: {can}"),
            )


def check_repository_keys(draft: Draft) -> Iterator[Problem]:
    """Find fingerprints of repositories that there are not, or that are none."""
    for name, fingerprint in draft.settings.repository_keys.items():
        setting = f"repository_keys.{name}"
        if name not in REPOSITORY_NAMES:
            near = get_close_matches(name, REPOSITORY_NAMES, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(REPOSITORY_NAMES)}"
            yield setting_problem(setting, fingerprint, f"no repository of that name; {hint}")
        elif fingerprint and not re.fullmatch(r"[0-9A-Fa-f]{40}", fingerprint):
            yield setting_problem(
                setting,
                fingerprint,
                (
                    "not a fingerprint; it has 40 hexadecimal digits and no spaces, "
                    "such as 0123456789ABCDEF0123456789ABCDEF01234567 (gpg --show-keys FILE prints it)"
                ),
            )


def check_versions(draft: Draft) -> Iterator[Problem]:
    """Find versions of packages that no service has, or that are no versions."""
    known = known_packages(draft.package_source, draft.catalogue)
    for name, version in draft.settings.package_versions.items():
        setting = f"package_versions.{name}"
        if name not in known and not is_part(name, known):
            # A service's name is what a person thinks of first.
            first = CATALOGUE[name].packages[:1] if name in CATALOGUE else ()
            near = first or get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "use one such as webitel-engine"
            yield setting_problem(setting, version, f"no service has a package of that name; {hint}")
        elif not VERSION.fullmatch(version):
            yield setting_problem(setting, version, "not a version of a Debian package; use one such as 25.08.3-1")


def check_update_window(draft: Draft) -> Iterator[Problem]:
    """Find a window that is too short for what has to happen in it."""
    window = read_window(draft.settings.update_window)
    if window and window.minutes < LEAST_MINUTES:
        message = f"too short, downloads and installation take up to {LEAST_MINUTES} minutes; use one such as 03:00-05:00"
        yield setting_problem("update_window", draft.settings.update_window, message)


def check_zone(draft: Draft) -> Iterator[Problem]:
    """Find a DNS zone that the cloud does not have, cannot find or that does not hold the domain."""
    settings, facts = draft.settings, draft.facts
    if not settings.dns_zone:
        return
    zone, domain = read_zone(settings.dns_zone), settings.domain.lower()
    title, _, example = facts.dns_key.partition(", ")
    if not facts.dns:
        message = f"{facts.title} has no DNS; remove the setting, and the records to be copied are in the stack's outputs"
    elif not HOST.fullmatch(zone.name) or not re.fullmatch(r"[\w().-]*", zone.key):
        message = "not a zone; use one such as your-company.com"
    elif domain != zone.name and not domain.endswith(f".{zone.name}"):
        message = f"webitel:domain = {domain} is not in it; use the zone of the domain, such as {domain.partition('.')[2]}"
    elif bool(zone.key) != bool(title):
        use = f"{example}/{zone.name} ({title} before the slash)" if title else zone.name
        message = f"{facts.title} finds a zone by {'more than ' if title else ''}its name; use {use}"
    else:
        return
    yield setting_problem("dns_zone", settings.dns_zone, message)


def check_reverse_dns(draft: Draft) -> Iterator[Problem]:
    """Find reverse names of which no resource can be made."""
    settings, facts = draft.settings, draft.facts
    if settings.reverse_dns and not facts.reverse_dns:
        message = f"{facts.title}'s addresses get no name that way; remove the setting and see docs/operate/clouds.md, DNS"
        yield setting_problem("reverse_dns", "true", message)
    elif settings.reverse_dns and facts.reverse_dns_first and not settings.dns_zone:
        _, _, example = facts.dns_key.partition(", ")
        message = (
            f"{facts.title} gives an address only a name that leads to it already; set webitel:dns_zone too, such as "
            f"{example}/your-company.com"
        )
        yield setting_problem("reverse_dns", "true", message)


MAX_ALARMED = 5
"""Addresses that every cloud's alarm takes (Google: five channels)."""

MAIL = re.compile(rf"[^@\s]+@{HOST.pattern}", re.IGNORECASE)


def check_budget(draft: Draft) -> Iterator[Problem]:
    """Find a budget of which no alarm can be made, or that alarms nobody."""
    settings, facts = draft.settings, draft.facts
    for mail in settings.budget_mail:
        if not MAIL.fullmatch(mail):
            yield setting_problem("budget_mail", mail, "not a mail address; use one such as ops@your-company.com")
    if len(settings.budget_mail) > MAX_ALARMED:
        yield setting_problem(
            "budget_mail", len(settings.budget_mail), f"at most {MAX_ALARMED} addresses; use a list such as ops@your-company.com"
        )
    if not settings.budget:
        return
    if not facts.budget_by:
        instead = f", and set the alert in the console: {facts.budget_page}" if facts.budget_page else "; it costs nothing"
        yield setting_problem("budget", settings.budget, f"no alarm can be made on {facts.title}; remove the setting{instead}")
    elif not settings.budget_mail and not facts.budget_hears:
        yield setting_problem(
            "budget_mail", "empty", f"webitel:budget = {settings.budget} would alarm nobody; use [ops@your-company.com]"
        )


def check_networks(draft: Draft) -> Iterator[Problem]:
    """Find networks of people that are the whole world."""
    instead = {
        "operators": "SSH would be open to the world; use your office or VPN network, such as 203.0.113.0/24",
        "carriers": "SIP would be open to the world; use your carrier's networks, such as 198.51.100.0/24",
        "phones": "SIP would be open to the world; use networks such as 192.0.2.0/24, or internet if you mean it",
    }
    for name, message in instead.items():
        for network in networks_given(draft.settings, name):
            if network.prefixlen < MIN_PREFIX_LENGTH:
                yield setting_problem(name, network, message)


def check_time_zone(draft: Draft) -> Iterator[Problem]:
    """Find a time zone that the time zone database does not have."""
    name = draft.settings.time_zone
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
