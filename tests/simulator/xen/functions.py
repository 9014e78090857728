"""Xen Orchestra: functions of its provider that look things up by their names, which have to be unique (`facts/onprem.md` 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from provider.server import Properties, ProviderError
from tests.simulator.account import Function, read_facts
from tests.simulator.call import Account
from tests.simulator.xen.resources import GIB, HOSTS, PACKAGE, POOL, TEMPLATES, VM, id_of, read_pool

PLACES = HOSTS
MEMORY_GIB, CORES, STORE_GIB = 512, 64, 20_000


def find(kind: str, names: Sequence[str], arguments: Properties) -> str:
    """The id of the only one of a name."""
    name = str(arguments.get("nameLabel") or "")
    pool = arguments.get("poolId")
    many = names.count(name) if pool in (None, id_of("pool", POOL)) else 0
    if not many:
        raise ProviderError(f"Could not find client.{kind.capitalize()} with query: {{NameLabel:{name}}}")
    if many > 1:
        raise ProviderError(f"found `{many}` {kind}s with query {name}. They must be uniquely named to use this data source")
    return id_of(kind, name)


def _pool(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    id = find("pool", [POOL], {"nameLabel": arguments["nameLabel"]})
    cpus = {"cores": CORES * len(HOSTS), "sockets": 2}
    return {**arguments, "id": id, "master": id_of("host", HOSTS[0]), "description": "", "cpus": cpus}


def _network(account: Account, arguments: Properties) -> Properties:
    id = find("network", read_pool(account.world).networks, arguments)
    return {**arguments, "id": id, "bridge": "xenbr0", "poolId": id_of("pool", POOL)}


def _template(account: Account, arguments: Properties) -> Properties:
    id = find("template", read_pool(account.world).templates, arguments)
    return {**arguments, "id": id, "uuid": id, "bootFirmware": TEMPLATES.get(str(arguments["nameLabel"]), "bios")}


def _store(account: Account, arguments: Properties) -> Properties:
    id = find("store", read_pool(account.world).stores, arguments)
    free = float(read_facts(account)["limits"].get("disk", STORE_GIB))
    used = int((STORE_GIB - free) * GIB)
    return {
        **arguments,
        "id": id,
        "uuid": id,
        "poolId": id_of("pool", POOL),
        "container": id_of("host", HOSTS[0]),
        "srType": "ext",
        "size": STORE_GIB * GIB,
        "physicalUsage": used,
        "usage": used,
    }


def _describe_host(account: Account, name: str) -> Properties:
    free = float(read_facts(account)["limits"].get("memory", MEMORY_GIB))
    return {
        "id": id_of("host", name),
        "nameLabel": name,
        "poolId": id_of("pool", POOL),
        "cpus": {"cores": CORES, "sockets": 2},
        "memory": MEMORY_GIB * GIB,
        "memoryUsage": int((MEMORY_GIB - free) * GIB),
        "tags": [],
    }


def _host(account: Account, arguments: Properties) -> Properties:
    names = read_pool(account.world).hosts
    find("host", names, arguments)
    return _describe_host(account, str(arguments["nameLabel"]))


def _vms(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    shown = ("nameLabel", "tags", "powerState", "cpus", "memoryMax", "memoryMin", "template")
    vms = [
        {
            "id": one.id,
            **{name: one.get(name) for name in shown},
            "disks": [],
            "networks": [],
            "ipv4Addresses": [],
            "ipv6Addresses": [],
        }
        for one in account.world.all(VM)
    ]
    return {**arguments, "id": "vms", "vms": vms}


FUNCTIONS: Mapping[str, Function] = {
    f"{PACKAGE}:index/getXoaPool:getXoaPool": _pool,
    f"{PACKAGE}:index/getXoaNetwork:getXoaNetwork": _network,
    f"{PACKAGE}:index/getXoaTemplate:getXoaTemplate": _template,
    f"{PACKAGE}:index/getXoaStorageRepository:getXoaStorageRepository": _store,
    f"{PACKAGE}:index/getXoaHost:getXoaHost": _host,
    f"{PACKAGE}:index/getXoaVms:getXoaVms": _vms,
}
"""By token."""
