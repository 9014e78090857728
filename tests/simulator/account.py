"""What the clouds' functions tell of the account: who it is, which machine types there are where, how much it may have.

`tell` changes an account; what it leaves out is as `ACCOUNTS` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from components.model.clouds.facts import load_machine_types
from provider.server import Properties, ProviderError
from tests.simulator.call import Account
from tests.simulator.world import Thing, World

PLACES: Mapping[str, tuple[str, ...]] = {
    "aws": ("us-east-1a", "us-east-1b", "us-east-1c"), "gcp": ("europe-west3-a", "europe-west3-b", "europe-west3-c"),
    "digitalocean": ("fra1", "ams3", "nyc3"), "hcloud": ("fsn1", "nbg1", "hel1"), "azure-native": ("1", "2", "3"),
}
"""Zones, or regions of a cloud without zones."""
CLOUDS: Mapping[str, str] = {"hcloud": "hetzner", "azure-native": "azure"}
"""Cloud by package where the names differ."""

Function = Callable[[Account, Properties], Properties]


def tell(world: World, package: str, **facts: Any) -> None:
    """Changes what an account is told: `refused` (the text of a refusal), `withdrawn` (type: places without it),
    `limits` (quota: number)."""
    with world.change():
        world.put(Thing(f"{package}:simulated:Account", "account", "", facts))


def read_facts(account: Account) -> Properties:
    """What the test says of the account; a ProviderError where its credentials are refused."""
    facts: Properties = {"refused": "", "withdrawn": {}, "limits": {}}
    for thing in account.world.all(f"{account.package}:simulated:Account"):
        facts |= thing.inputs
    if facts["refused"]:
        raise ProviderError(facts["refused"])
    return facts


def offers(account: Account) -> dict[str, list[str]]:
    """Machine types of the price list by place."""
    withdrawn = read_facts(account)["withdrawn"]
    names = [machine.name for machine in load_machine_types(CLOUDS.get(account.package, account.package))]
    return {place: [name for name in names if place not in withdrawn.get(name, ())] for place in PLACES[account.package]}


def limit(account: Account, name: str, usual: float) -> float:
    """How much of something the account may have."""
    return float(read_facts(account)["limits"].get(name, usual))


def _aws_identity(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {"accountId": "123456789012", "arn": "arn:aws:iam::123456789012:user/test", "userId": "AIDATEST", "id": "123456789012"}


def _aws_offerings(account: Account, arguments: Properties) -> Properties:
    if arguments.get("locationType") != "availability-zone":
        raise ProviderError("InvalidParameterValue: locationType")
    (wish,) = arguments["filters"]
    found = [(name, zone) for zone, names in offers(account).items() for name in names if name in wish["values"]]
    return {**arguments, "id": "us-east-1", "region": "us-east-1", "instanceTypes": [name for name, _ in found],
            "locations": [zone for _, zone in found], "locationTypes": ["availability-zone"] * len(found)}


def _aws_quota(account: Account, arguments: Properties) -> Properties:
    known = {"L-1216C47A": ("Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 256),
             "L-0263D0A3": ("EC2-VPC Elastic IPs", 5)}
    code = arguments["quotaCode"]
    if arguments["serviceCode"] != "ec2" or code not in known:
        raise ProviderError(f"NoSuchResourceException: {arguments}")
    name, usual = known[code]
    return {**arguments, "id": code, "quotaName": name, "value": limit(account, code, usual), "adjustable": True, "arn": "",
            "defaultValue": usual, "globalQuota": False, "region": "us-east-1", "serviceName": "EC2", "usageMetrics": []}


def _gcp_project(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {"projectId": _project(account), "number": "1", "id": f"projects/{_project(account)}"}


def _project(account: Account) -> str:
    # The real provider also takes it from the environment.
    return str(account.settings.get("project") or "simulated")


def _gcp_zones(account: Account, arguments: Properties) -> Properties:
    return {**arguments, "id": "zones", "names": [zone for zone in offers(account) if zone.startswith(arguments["region"])]}


def _gcp_types(account: Account, arguments: Properties) -> Properties:
    names = [*offers(account)[arguments["zone"]], "e2-micro"]
    return {**arguments, "id": arguments["zone"], "machineTypes": [{"name": name} for name in names]}


def _gcp_client(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {"accessToken": "ya29.simulated", "project": _project(account), "id": "client", "region": "", "zone": "",
            "defaultLabels": {}}


def _azure_token(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    return {"token": "eyJ.simulated"}


def _ocean_account(account: Account, arguments: Properties) -> Properties:
    return {"dropletLimit": int(limit(account, "droplets", 25)), "email": "test@example.com", "emailVerified": True,
            "floatingIpLimit": 3, "id": "a", "status": read_facts(account).get("status", "active"), "statusMessage": "",
            "uuid": "a"}


def _ocean_sizes(account: Account, arguments: Properties) -> Properties:
    found = offers(account)
    names = dict.fromkeys(name for names in found.values() for name in names)
    return {"id": "sizes", "sizes": [
        {"slug": name, "available": True, "regions": [place for place, names in found.items() if name in names]}
        for name in names]}


def _hetzner_types(account: Account, arguments: Properties) -> Properties:
    names = [machine.name for machine in load_machine_types("hetzner")]
    found = offers(account)
    return {"id": "types", "serverTypes": [
        {"id": number, "name": name, "locations": [
            {"id": n, "name": place, "available": name in found[place], "isDeprecated": False, "recommended": True}
            for n, place in enumerate(found)]}
        for number, name in enumerate(names)]}


FUNCTIONS: Mapping[str, Function] = {
    "aws:index/getCallerIdentity:getCallerIdentity": _aws_identity,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _aws_offerings,
    "aws:servicequotas/getServiceQuota:getServiceQuota": _aws_quota,
    "gcp:organizations/getProject:getProject": _gcp_project,
    "gcp:organizations/getClientConfig:getClientConfig": _gcp_client,
    "gcp:compute/getZones:getZones": _gcp_zones,
    "gcp:compute/getMachineTypes:getMachineTypes": _gcp_types,
    "azure-native:authorization:getClientToken": _azure_token,
    "digitalocean:index/getAccount:getAccount": _ocean_account,
    "digitalocean:index/getSizes:getSizes": _ocean_sizes,
    "hcloud:index/getServerTypes:getServerTypes": _hetzner_types,
}
"""By token; each package takes its own."""


def make_functions(package: str) -> Mapping[str, Function]:
    """The functions of a package by token."""
    return {token: function for token, function in FUNCTIONS.items() if token.partition(":")[0] == package}
