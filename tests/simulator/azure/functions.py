"""Azure: functions that find what exists, and what the account is told (`facts/clouds.md`)."""

from __future__ import annotations

from collections.abc import Mapping

from provider.server import Properties, ProviderError
from tests.simulator.account import Function, read_facts
from tests.simulator.azure.machines import POWER
from tests.simulator.azure.resources import MACHINE, NETWORK, SUBNET, find_subscription
from tests.simulator.call import Account

PLACES = ("1", "2", "3")
"""Zones."""


def _token(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {"token": "eyJ.simulated"}


def _config(account: Account, arguments: Properties) -> Properties:
    return {"subscriptionId": find_subscription(account), "clientId": "c", "objectId": "o", "tenantId": "t"}


def _machine(account: Account, arguments: Properties) -> Properties:
    for thing in account.world.all(MACHINE):
        if thing.inputs["vmName"] == arguments["vmName"] and thing.inputs["resourceGroupName"] == arguments["resourceGroupName"]:
            told = {name: value for name, value in {**thing.inputs, **thing.outputs}.items() if name != POWER}
            view = {"statuses": [{"code": "ProvisioningState/succeeded"}, {"code": f"PowerState/{thing.outputs[POWER]}"}]}
            return {**told, "id": thing.id, **({"instanceView": view} if arguments.get("expand") == "instanceView" else {})}
    raise ProviderError(f'Code="ResourceNotFound" Message="virtualMachines/{arguments["vmName"]} was not found"')


def _network(account: Account, arguments: Properties) -> Properties:
    """With its subnets, as Azure tells a network (API `Microsoft.Network/virtualNetworks`, get)."""
    for thing in account.world.all(NETWORK):
        asked = (arguments["virtualNetworkName"], arguments["resourceGroupName"])
        if (thing.inputs["virtualNetworkName"], thing.inputs["resourceGroupName"]) == asked:
            subnets = [
                {**one.inputs, **one.outputs, "id": one.id}
                for one in account.world.all(SUBNET)
                if one.id.startswith(f"{thing.id}/")
            ]
            return {**thing.inputs, **thing.outputs, "id": thing.id, "subnets": subnets}
    raise ProviderError(f'Code="ResourceNotFound" Message="virtualNetworks/{arguments["virtualNetworkName"]} was not found"')


FUNCTIONS: Mapping[str, Function] = {
    "azure-native:authorization:getClientConfig": _config,
    "azure-native:authorization:getClientToken": _token,
    "azure-native:compute:getVirtualMachine": _machine,
    "azure-native:network:getVirtualNetwork": _network,
}
"""By token."""
