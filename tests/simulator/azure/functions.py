"""Azure: functions that find what exists, and what the account is told (`facts/clouds.md`)."""

from __future__ import annotations

from collections.abc import Mapping

from provider.server import Properties
from tests.simulator.account import Function, read_facts
from tests.simulator.azure.resources import find_subscription
from tests.simulator.call import Account

PLACES = ("1", "2", "3")
"""Zones."""


def _token(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {"token": "eyJ.simulated"}


def _config(account: Account, arguments: Properties) -> Properties:
    return {"subscriptionId": find_subscription(account), "clientId": "c", "objectId": "o", "tenantId": "t"}


FUNCTIONS: Mapping[str, Function] = {
    "azure-native:authorization:getClientConfig": _config,
    "azure-native:authorization:getClientToken": _token,
}
"""By token."""
