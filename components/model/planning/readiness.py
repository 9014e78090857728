"""What must be set before anything is created: no value may be only documentation, and nothing that is needed may lack."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network

from components.model.catalogue.repositories import CREDENTIALS, list_plain_logins, missing_fingerprints
from components.model.catalogue.service import PackageSource
from components.model.clouds.facts import CloudFacts
from components.model.given_hosts import read_address
from components.model.planning.addresses import networks_given
from components.model.planning.draft import resolve_package_source
from components.model.problems import Problem, set_secret, setting_problem
from components.model.settings import Settings

DOCUMENTATION_NETWORKS = tuple(IPv4Network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))
"""RFC 5737."""

DOCUMENTATION_DOMAIN = re.compile(r"(.+\.)?(example(\.(com|net|org))?|test|invalid|localhost)")
"""RFC 2606."""


def documentation_values(settings: Settings, facts: CloudFacts) -> tuple[Problem, ...]:
    """Return what must be set before anything is created: values that are only documentation, nobody to log in, credentials.

    `plan` and `render` work with them; `up` and `doctor` refuse them. Empty where the cloud is not real, but for
    credentials, which every cloud needs with the vendor's packages.
    """
    find = find_documentation_values if facts.in_earnest else missing_credentials
    return tuple(find(settings, facts))


def find_documentation_values(settings: Settings, facts: CloudFacts) -> Iterator[Problem]:
    """Do as `documentation_values`, for a cloud that is real."""
    if DOCUMENTATION_DOMAIN.fullmatch(settings.domain.lower()):
        yield setting_problem("domain", settings.domain, "an example; use one such as voice.your-company.com")
    wanted = {"operators": "office or VPN", "carriers": "SIP trunks", "phones": "SIP phones"}
    for name, meant in wanted.items():
        for network in networks_given(settings, name):
            if any(network.overlaps(example) for example in DOCUMENTATION_NETWORKS):
                yield setting_problem(name, network, f"an example; use the network of your {meant}")
    if not settings.operators:
        yield setting_problem(
            "operators",
            "",
            ("the nodes could not be reached to configure them; set your office or VPN network, such as 203.0.113.0/24"),
        )
    if facts.made_to_measure and settings.network is None:
        yield setting_problem(
            "network", "", f"nodes stand in a network that you have; set its range, such as {facts.default_network}"
        )
    if facts.image_shape[0] and not settings.image:
        yield setting_problem("image", "", f"machines are made of an image that you have; set {facts.image_shape[1]}")
    if facts.made_to_measure and facts.zone_shape and not facts.has_endpoints and not (settings.zone or settings.zones):
        yield setting_problem("zones", "", f"machines stand on hosts that you name; set such as [{facts.zones[0]}]")
    if settings.sip_address and any(settings.sip_address in example for example in DOCUMENTATION_NETWORKS):
        yield setting_problem("sip_address", settings.sip_address, "an example; use a free address of the nodes' network")
    yield from find_unproven_hosts(settings)
    yield from missing_credentials(settings, facts)


def find_unproven_hosts(settings: Settings) -> Iterator[Problem]:
    """Find given hosts that are only an example, or of which nobody says which host key they have."""
    for number, host in enumerate(settings.hosts, 1):
        name = f"hosts.{number}"
        for text in dict.fromkeys([host.host, host.private, host.public]):
            if (address := read_address(text)) and any(address in example for example in DOCUMENTATION_NETWORKS):
                yield setting_problem(f"{name}.address", text, "an example; use the address of a host of yours")
        if not host.host_key:
            port = host.address.partition(":")[2]
            shown = f"ssh-keyscan -t ed25519{f' -p {port}' if port else ''} {host.host}"
            yield setting_problem(
                f"{name}.host_key",
                "",
                f"nothing tells {host.address} from another machine at the first contact; compare `{shown}` with the host's "
                "/etc/ssh/ssh_host_ed25519_key.pub and write it such as ssh-ed25519 AAAA..., or accept whichever answers: accept",
            )


def missing_credentials(settings: Settings, facts: CloudFacts) -> Iterator[Problem]:
    """Return what the package source needs and is not set: the vendor's credentials, fingerprints of repository keys."""
    for name in missing_fingerprints(resolve_package_source(settings, facts), settings.repository_keys):
        yield setting_problem(
            f"repository_keys.{name}",
            "",
            (
                "a repository's key is accepted by its fingerprint only, and no public record of this one was found; "
                "compare it with "
                "your supplier's and set it, such as 0123456789ABCDEF0123456789ABCDEF01234567 (gpg --show-keys FILE prints it)"
            ),
        )
    yield from missing_secrets(settings, facts)
    yield from refused_plain_http(settings, facts)


def refused_plain_http(settings: Settings, facts: CloudFacts) -> Iterator[Problem]:
    """Return what would send credentials over plain http, unless that is allowed in so many words."""
    source = resolve_package_source(settings, facts)
    for address in () if settings.allow_plain_http else list_plain_logins(source, settings.mirror):
        if source is PackageSource.MIRROR:
            message = (
                "its user and password would go over plain http, readable to whoever is on the way; use an address such as "
                "https://packages.your-company.com, or accept that: webitel:allow_plain_http: true"
            )
            yield setting_problem("mirror", address, message)
        else:
            message = (
                f"user and password of {address} would go over plain http, readable to whoever is on the way, and the vendor "
                "offers nothing else; use webitel:package_source: mirror with webitel:mirror such as "
                "https://packages.your-company.com, or accept that: webitel:allow_plain_http: true"
            )
            yield setting_problem("allow_plain_http", "false", message)


def describe_plain_http(settings: Settings, facts: CloudFacts) -> tuple[str, ...]:
    """Return what goes over plain http because the settings allow it: what `plan` and `status` keep naming."""
    allowed = list_plain_logins(resolve_package_source(settings, facts), settings.mirror) if settings.allow_plain_http else ()
    return tuple(
        f"webitel:allow_plain_http = true: user and password of {address} go over the network unencrypted; a mirror with "
        "https (webitel:package_source = mirror) ends that"
        for address in allowed
    )


def missing_secrets(settings: Settings, facts: CloudFacts) -> Iterator[Problem]:
    """Return the vendor's credentials that the package source needs and that are not set."""
    if resolve_package_source(settings, facts) is PackageSource.VENDOR:
        for name in CREDENTIALS:
            if not getattr(settings, name):
                message = f"needed for the vendor's packages; {set_secret(name)}"
                yield setting_problem(name, "", message)
