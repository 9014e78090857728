"""AWS: which route table a subnet has, as the provider's function tells it."""

from __future__ import annotations

from collections.abc import Mapping

from provider.server import Properties, ProviderError
from tests.simulator.account import Function
from tests.simulator.call import Account
from tests.simulator.world import Thing

TABLE, ROUTE = "aws:ec2/routeTable:RouteTable", "aws:ec2/route:Route"
ASSOCIATION = "aws:ec2/routeTableAssociation:RouteTableAssociation"
VPC = "aws:ec2/vpc:Vpc"
TARGETS = {
    "gatewayId": "",
    "natGatewayId": "",
    "networkInterfaceId": "",
    "transitGatewayId": "",
    "instanceId": "",
    "vpcEndpointId": "",
}


def look_up(account: Account, arguments: Properties) -> Properties:
    """Only a table that was associated by hand is found by its subnet; the VPC's main one, which all others have, by
    `association.main`. Routes that a gateway propagates, and the local one, are not told (`facts/real-clouds.md` B30)."""
    asked = {key: value for key, value in arguments.items() if value is not None and key != "region"}
    if not asked:
        raise ProviderError("one of route_table_id, vpc_id, subnet_id, gateway_id, filters, or tags must be assigned")
    tied = {one.inputs["subnetId"]: one.inputs["routeTableId"] for one in account.world.all(ASSOCIATION) if one.get("subnetId")}
    if subnet := asked.pop("subnetId", None):
        asked["routeTableId"] = tied.get(subnet, "none")
    is_main = {"name": "association.main", "values": ["true"]} in asked.pop("filters", [])
    if is_main:  # a VPC has it from the beginning, with nothing but the local route
        found = [Thing(TABLE, f"rtb-main-{one.id}", "", {"vpcId": one.id}) for one in account.world.all(VPC)]
    else:
        found = account.world.all(TABLE)
    names = {"vpcId": lambda one: one.inputs["vpcId"], "routeTableId": lambda one: one.id, "id": lambda one: one.id}
    if unknown := asked.keys() - names.keys() - {"tags"}:
        raise ProviderError(f"InvalidParameterValue: nobody knows how tables are found by {', '.join(sorted(unknown))}")
    found = [one for one in found if all(names[key](one) == value for key, value in asked.items() if key in names)]
    found = [one for one in found if asked.get("tags", {}).items() <= (one.inputs.get("tags") or {}).items()]
    if not found:
        raise ProviderError("query returned no results. Please change your search criteria and try again")
    if len(found) > 1:
        raise ProviderError("multiple Route Tables matched; use additional constraints to reduce matches to a single Route Table")
    (table,) = found
    routes = [
        {"cidrBlock": "", **TARGETS, **one} for one in [*(table.inputs.get("routes") or ()), *list_routes(account, table.id)]
    ]
    return {**arguments, **table.inputs, **table.outputs, "id": table.id, "routeTableId": table.id, "routes": routes}


def list_routes(account: Account, table: str) -> list[Properties]:
    """The routes that are resources of their own, as the function tells them."""
    return [
        {"cidrBlock": one.inputs.get("destinationCidrBlock", ""), **{name: one.inputs.get(name) or "" for name in TARGETS}}
        for one in account.world.all(ROUTE)
        if one.inputs["routeTableId"] == table
    ]


FUNCTIONS: Mapping[str, Function] = {"aws:ec2/getRouteTable:getRouteTable": look_up}
"""By token."""
