"""The catalogue: every service of the platform, in an order that can be started."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue import data, node, telephony, web, webitel
from components.model.catalogue.service import Service

CATALOGUE: Mapping[str, Service] = {
    service.name: service
    for service in (*node.SERVICES, *data.SERVICES, *telephony.SERVICES, *webitel.SERVICES, *web.SERVICES)
}


def called_service(call: str) -> str:
    """The service's name in `service` or `service.listener`."""
    return call.partition(".")[0]
