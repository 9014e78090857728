"""The catalogue: every service of the platform, in an order that can be started."""

from __future__ import annotations

from collections.abc import Mapping

from components.model.catalogue import data, monitoring, node, telephony, web, webitel
from components.model.catalogue.service import Front, Service

CATALOGUE: Mapping[str, Service] = {
    service.name: service
    for service in (*node.SERVICES, *data.SERVICES, *telephony.SERVICES, *webitel.SERVICES, *web.SERVICES, *monitoring.SERVICES)
}


def find_front(front: Front, catalogue: Mapping[str, Service] = CATALOGUE) -> Service:
    """Find the service that answers it at the deployment's domain."""
    return next(service for service in catalogue.values() if service.front is front)


def find_speaking(catalogue: Mapping[str, Service]) -> frozenset[str]:
    """Find the services that do not run while a deployment is quiet: those that speak to the outside by themselves, and those
    that only lead to them."""
    speaking = {name for name, service in catalogue.items() if service.speaks_outside}
    while more := {
        name
        for name, service in catalogue.items()
        if name not in speaking and service.calls and {called_service(call) for call in service.calls} <= speaking
    }:
        speaking |= more
    return frozenset(speaking)


def called_service(call: str) -> str:
    """Return the service's name in `service` or `service.listener`."""
    return call.partition(".")[0]
