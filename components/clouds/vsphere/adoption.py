"""VMware vSphere: machines, disks and rules by the names that the plan gives them. Each is imported by where it is in
vCenter, and its provider fails at importing what is not there, so vCenter itself is asked before.

Sources: the import sections of pulumi_vsphere 4.18.2; `resource_vsphere_virtual_disk.go`, `..._vm_anti_affinity_rule.go`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from components.clouds.adoption import Setting, Values, Way
from components.clouds.vsphere.interface import NAMESPACE, Ref, VcenterError, open_session, value_of
from components.clouds.vsphere.places import DATACENTER

MISSING = "was not found"
"""vCenter's words for a file that is not there (FileNotFound)."""
RULES = "configurationEx.rule"


def read_datacenter(setting: Setting) -> str:
    """Return the datacenter that the stack file names."""
    site = json.loads(setting("webitel:site") or "{}")
    return str(site.get("datacenter") or DATACENTER)


def find_machine(inputs: Values, setting: Setting) -> list[str]:
    """Return the path of a machine of that name in that folder."""
    folder = str(inputs.get("folder") or "").strip("/")
    path = "/".join(part for part in (read_datacenter(setting), "vm", folder, str(inputs["name"])) if part)
    with open_session(setting) as session:
        return [f"/{path}"] if session.find_path(path) else []


def find_disk(inputs: Values, setting: Setting) -> list[str]:
    """Return the path of a disk, as its import takes it."""
    place = f"[{inputs['datastore']}] {inputs['vmdkPath']}"
    with open_session(setting) as session:
        datacenter = session.find_path(str(inputs["datacenter"]))
        if datacenter is None:
            return []
        asked = f"<name>{place}</name>{datacenter.write('datacenter')}"
        try:
            session.call("QueryVirtualDiskUuid", session.part("virtualDiskManager"), asked)
        except VcenterError as error:
            if MISSING in str(error):
                return []
            raise
    return [
        json.dumps(
            {
                "virtual_disk_path": f"/{inputs['datacenter']}/[{inputs['datastore']}]{inputs['vmdkPath']}",
                "create_directories": "true",
            }
        )
    ]


def find_rule(inputs: Values, setting: Setting) -> list[str]:
    """Return the cluster and the name of a rule."""
    with open_session(setting) as session:
        told = session.read(Ref("ClusterComputeResource", str(inputs["computeClusterId"])), "name", RULES)
    names = [one.text for one in told[RULES].iter(f"{NAMESPACE}name")] if RULES in told else []
    if inputs["name"] not in names:
        return []
    path = f"/{read_datacenter(setting)}/host/{value_of(told, 'name')}"
    return [json.dumps({"compute_cluster_path": path, "name": inputs["name"]})]


def found_by(look: Callable[[Values, Setting], list[str]]) -> Way:
    """Look by questions to vCenter, whose answer is for an import only."""
    return Way(lambda inputs, answer: [], look=look, imported=True)


WAYS: Mapping[str, Way] = {
    "vsphere:index/computeClusterVmAntiAffinityRule:ComputeClusterVmAntiAffinityRule": found_by(find_rule),
    "vsphere:index/virtualDisk:VirtualDisk": found_by(find_disk),
    "vsphere:index/virtualMachine:VirtualMachine": found_by(find_machine),
}
"""By type, for all that the adapter makes."""
