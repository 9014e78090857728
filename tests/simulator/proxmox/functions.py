"""Proxmox VE: functions of its provider that tell who asks, what hosts, stores and machines there are (`facts/onprem.md` 2.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from provider.server import Properties, ProviderError
from tests.simulator.account import Function, read_facts
from tests.simulator.call import Account
from tests.simulator.proxmox.resources import HOSTS, IMAGE, PACKAGE, SNIPPET, STORES, TEMPLATES, VM

PLACES = HOSTS
GIB = 2**30


def _version(account: Account, arguments: Properties) -> Properties:
    release = str(read_facts(account).get("release", "9.0"))
    return {"id": "version", "release": release, "repositoryId": "1a2b3c4d", "version": f"{release}.10"}


def _nodes(account: Account, arguments: Properties) -> Properties:
    memory = float(read_facts(account)["limits"].get("memory", 512))
    online = read_facts(account).get("offline", ())
    many = len(HOSTS)
    return {
        "id": "nodes",
        "names": list(HOSTS),
        "onlines": [name not in online for name in HOSTS],
        "cpuCounts": [64] * many,
        "cpuUtilizations": [0.1] * many,
        "memoryAvailables": [int(512 * GIB)] * many,
        "memoryUseds": [int((512 - memory) * GIB)] * many,
        "sslFingerprints": [""] * many,
        "supportLevels": [""] * many,
        "uptimes": [1000] * many,
    }


def _datastores(account: Account, arguments: Properties) -> Properties:
    if arguments.get("nodeName") not in HOSTS:
        raise ProviderError(f"500 hostname lookup '{arguments.get('nodeName')}' failed")
    facts = read_facts(account)
    free = float(facts["limits"].get("disk", 10_000))
    stores: Mapping[str, tuple[str, ...]] = facts.get("stores") or STORES
    return {
        **arguments,
        "datastores": [
            {
                "id": name,
                "nodeName": arguments["nodeName"],
                "contentTypes": sorted(contents),
                "type": "dir" if "snippets" in contents or "iso" in contents else "lvmthin",
                "active": True,
                "enabled": True,
                "shared": name == "ceph",
                "spaceAvailable": int(free * GIB),
                "spaceTotal": int(20_000 * GIB),
                "spaceUsed": int((20_000 - free) * GIB),
            }
            for name, contents in stores.items()
        ],
    }


def _vms(account: Account, arguments: Properties) -> Properties:
    read_facts(account)
    found = [
        {
            "name": one.inputs["name"],
            "nodeName": one.inputs["nodeName"],
            "vmId": int(one.id),
            "tags": one.inputs.get("tags") or [],
            "status": one.outputs["status"],
            "template": False,
        }
        for one in account.world.all(VM)
    ]
    template = {"name": "debian-12", "nodeName": "pve", "tags": [], "status": "stopped", "template": True}
    found += [{**template, "vmId": number} for number in TEMPLATES]
    for one in arguments.get("filters") or []:
        asked = [str(value) for value in one["values"]]
        found = [
            vm
            for vm in found
            if any(
                re.fullmatch(value, str(vm[one["name"]])) if one.get("regex") else str(vm[one["name"]]).lower() == value
                for value in asked
            )
        ]
    return {**arguments, "id": "vms", "vms": found}


def _file(account: Account, arguments: Properties) -> Properties:
    id = f"{arguments['datastoreId']}:{arguments['contentType']}/{arguments['fileName']}"
    for type in (IMAGE, SNIPPET):
        if any(one.id == id and one.inputs["nodeName"] == arguments["nodeName"] for one in account.world.all(type)):
            return {**arguments, "id": id, "fileFormat": "", "fileSize": 1, "vmid": 0}
    raise ProviderError(f"file not found: {id}")


FUNCTIONS: Mapping[str, Function] = {
    f"{PACKAGE}:index/getVersion:getVersion": _version,
    f"{PACKAGE}:index/getNodesLegacy:getNodesLegacy": _nodes,
    f"{PACKAGE}:index/getDatastores:getDatastores": _datastores,
    f"{PACKAGE}:index/getVmsLegacy:getVmsLegacy": _vms,
    f"{PACKAGE}:index/getFileLegacy:getFileLegacy": _file,
}
"""By token."""
