"""The public certificate that nodes order themselves (`webitel:certificate`, RFC 8555): what that adds to services with one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from components.model.catalogue.service import Service
from components.model.planning.draft import Draft
from components.model.problems import Problem, setting_problem
from components.model.settings import Settings

CLIENT = "lego"
"""Debian's package of the ACME client."""

SHOWN = "web_certificate"
"""The secret of the services that show the deployment's certificate; it stands in until the public one is there."""
ACCOUNT = ("acme_account_key", "acme_thumbprint", "certificate_password")


@dataclass(frozen=True)
class Order:
    """What the nodes order: the names in it, the issuer's directory, and whom it writes to."""

    names: tuple[str, ...]
    server: str
    email: str


def read_order(settings: Settings) -> Order | None:
    """Return what these settings order, None where the certificate is made or provided."""
    if settings.certificate != "letsencrypt":
        return None
    return Order((settings.domain, *settings.web_names), settings.certificate_server, settings.certificate_email)


def add_account(settings: Settings, catalogue: Mapping[str, Service]) -> Mapping[str, Service]:
    """Return the catalogue with the ACME client and account for every service that shows the certificate."""
    if read_order(settings) is None:
        return catalogue
    return {
        name: replace(service, secrets=(*service.secrets, *ACCOUNT)) if SHOWN in service.secrets else service
        for name, service in catalogue.items()
    }


def check_order(draft: Draft) -> Iterator[Problem]:
    """Find an order that no issuer would take, or whose server the nodes do not reach."""
    settings, order = draft.settings, read_order(draft.settings)
    if order is None:
        return
    if settings.certificate_email.count("@") != 1:
        message = "the issuer wants to know whom to write to; use an address such as admin@your-company.com"
        yield setting_problem("certificate_email", settings.certificate_email, message)
    found = urlsplit(order.server)
    if found.scheme != "https" or not found.hostname or found.port:
        message = "not a directory that nodes reach, which begins with https:// and names no port; use one such as "
        yield setting_problem("certificate_server", order.server, message + Settings.model_fields["certificate_server"].default)
    if draft.facts.trial and order.server == Settings.model_fields["certificate_server"].default:
        message = f"no issuer on the internet reaches machines of {draft.facts.name}; use self-signed or provided"
        yield setting_problem("certificate", settings.certificate, message)
