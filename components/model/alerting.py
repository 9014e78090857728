"""Whom alerts reach, by the settings whose names begin with `alert`: what is wrong with that, and the ways out that it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from components.model.catalogue.monitoring import ALERTMANAGER
from components.model.catalogue.service import Egress, Ports, Service
from components.model.planning.draft import Draft
from components.model.planning.log_target import LAST_PORT, TARGET, network_of
from components.model.problems import Problem, set_secret, setting_problem
from components.model.settings import Settings

ADDRESS = re.compile(r"[^@\s,<>\"']+@[^@\s,<>\"']+")
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
WEB_PORTS = {"https": 443, "http": 80}
ALERT_SECRETS = ("alert_mail_password", "alert_webhook_token", "alert_slack", "alert_pagerduty", "alert_heartbeat")
"""Settings that are secrets; they reach the nodes with Alertmanager."""


def secrets_for(settings: Settings) -> tuple[str, ...]:
    """List the secrets among these settings that are set."""
    return tuple(name for name in ALERT_SECRETS if getattr(settings, name))


def check_alerting(draft: Draft) -> Iterator[Problem]:
    """Find targets that no alert would reach."""
    given = draft.settings
    for address in (*given.alert_mail, *filter(None, [given.alert_mail_from])):
        if not ADDRESS.fullmatch(address):
            name = "alert_mail" if address in given.alert_mail else "alert_mail_from"
            yield setting_problem(name, address, "not a mail address; use one such as phones@your-company.com")
    found = TARGET.fullmatch(given.alert_mail_server)
    if given.alert_mail_server and (not found or not 1 <= int(found[2]) <= LAST_PORT):
        example = "use host:port such as mail.your-company.com:587"
        yield setting_problem("alert_mail_server", given.alert_mail_server, f"not a mail server; {example}")
    for name in ("alert_mail_server", "alert_mail_from"):
        if given.alert_mail and not getattr(given, name):
            example = {"alert_mail_server": "mail.your-company.com:587", "alert_mail_from": "phones@your-company.com"}[name]
            yield setting_problem(name, "", f"needed for webitel:alert_mail; set it to one such as {example}")
    if given.alert_mail_user and not given.alert_mail_password:
        how = set_secret("alert_mail_password")
        yield setting_problem("alert_mail_user", given.alert_mail_user, f"it has no password; {how}")
    for name in ("alert_webhook", "alert_pagerduty_server"):
        if (url := getattr(given, name)) and not is_url(url):
            yield setting_problem(name, url, "not a URL; use one such as https://alerts.your-company.com/webitel")
    if not given.monitoring and (names := [name for name in TARGETS if getattr(given, name)]):
        yield setting_problem(names[0], "set", "webitel:monitoring is false, so nothing alerts; remove one of the two")


TARGETS = ("alert_mail", "alert_webhook", "alert_slack", "alert_pagerduty", "alert_heartbeat")


def is_url(text: str) -> bool:
    """Tell whether a text is the address of something on the web."""
    try:
        parts = urlsplit(text)
        return parts.scheme in WEB_PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def add_targets(settings: Settings, catalogue: Mapping[str, Service]) -> Mapping[str, Service]:
    """Return the catalogue with Alertmanager's ways out to targets that are named. Slack's and the heartbeat's are secret; they
    are by https, as what every node reaches."""
    ways = [
        Egress("alerts", "tcp", Ports(port, port), networks=(network,)) for port, network in dict.fromkeys(list_ways(settings))
    ]
    if not ways:
        return catalogue
    service = catalogue[ALERTMANAGER.name]
    return {**catalogue, service.name: replace(service, egress=(*service.egress, *ways))}


def list_ways(settings: Settings) -> Iterator[tuple[int, str]]:
    """List port and network of every target by name."""
    if settings.alert_mail and (found := TARGET.fullmatch(settings.alert_mail_server)):
        yield int(found[2]), network_of(found[1])
    for url in (settings.alert_webhook, settings.alert_pagerduty_server if settings.alert_pagerduty else ""):
        if url and is_url(url):
            parts = urlsplit(url)
            yield parts.port or WEB_PORTS[parts.scheme], network_of(parts.hostname or "")
