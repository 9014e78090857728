"""Google Cloud in tests, and bugs that its adapter might have, on the wide stack of `test_conformance.py`."""

from __future__ import annotations

from typing import Any

from components.clouds.gcp.facts import FACTS
from tests.simulator.bugs import NEIGHBOUR, OTHER_RTP, WORLD, Bug, each, forget, has, put, update, with_
from tests.simulator.case import RECORD_LABEL, RECORD_NAME, ZONE, Case, Given, Needed, Types
from tests.simulator.gcp.resources import NETWORK, ROUTER, SUBNETWORK, Firewall, RouterNat
from tests.simulator.gcp.view import read_record, see

MACHINE = FACTS.machine_resource

ALL_RIGHTS = {"email": "default", "scopes": ["cloud-platform"]}

BUGS = (
    Bug("dropped rule", ":Firewall", forget, "edge-internet"),
    Bug("widened source", ":Firewall", put("sourceRanges", [WORLD]), "edge-operators"),
    Bug("another role's rule", ":Firewall", forget, "data-from-app"),
    Bug("another role's nodes", ":Firewall", put("sourceTags", ["gcp-basic-edge"]), "data-from-app"),
    Bug("for every node", ":Firewall", put("targetTags", None), "edge-internet"),
    Bug("other port range", ":Firewall", each("allows", has(protocol="udp"), with_(ports=[OTHER_RTP])), "edge-internet"),
    Bug("all ports", ":Firewall", each("allows", has(protocol="tcp"), with_(ports=["1-65535"])), "data-from-app"),
    Bug("everything out", ":Firewall", forget, "out"),
    Bug("a way out dropped", ":Firewall", forget, "app-out-1"),
    Bug("no way to the other nodes", ":Firewall", forget, "out-network"),
    Bug("firewall not attached", ":Instance", put("tags", []), "data-1"),
    Bug("public address too many", ":Instance", put("networkInterfaces.0.accessConfigs", [{}]), "data-1"),
    Bug("no public address", ":Instance", put("networkInterfaces.0.accessConfigs", []), "edge-1"),
    Bug("smaller machine type", ":Instance", put("machineType", "c3-highcpu-4"), "data-1"),
    Bug("other private address", ":Instance", put("networkInterfaces.0.networkIp", NEIGHBOUR), "app-1"),
    Bug("other user data", ":Instance", put("metadata.startup-script", lambda text: text[:-8]), "app-1"),
    Bug("smaller boot disk", ":Instance", put("bootDisk.initializeParams.size", 10), "app-1"),
    Bug("smaller disk", ":Disk", put("size", 10), "data-1-database"),
    Bug("disk in another zone", ":Disk", put("zone", "europe-west3-b"), "data-1-database"),
    Bug("machine in another zone", ":Instance", put("zone", "europe-west3-c"), "app-2", zones=True),
    Bug("all in one zone", ":Instance", put("zone", "europe-west3-a"), "data-2", zones=True),
    Bug("disk not attached", ":Instance", put("attachedDisks", []), "data-1"),
    Bug("no placement policy", ":Instance", put("resourcePolicies", None), "data-2"),
    Bug("a boot disk that outlives its machine", ":Instance", put("bootDisk.autoDelete", False), "app-1"),
    Bug("an instance that nobody can delete", ":Instance", put("deletionProtection", True), "app-1"),
    Bug("another type needs another machine", ":Instance", put("allowStoppingForUpdate", False), "app-1"),
    Bug("an address that nothing can delete", ":Address", update(deletionPolicy="PREVENT"), "edge-1"),
    Bug("OS Login in place of keys", ":Instance", put("metadata.enable-oslogin", "TRUE"), "app-1"),
    Bug("two members on one host", ":Instance", put("scheduling.availabilityDomain", 1), "data-2"),
    Bug("other name of a disk's device", ":Instance", put("attachedDisks.0.deviceName", "persistent-disk-1"), "data-1"),
    Bug("a disk that only reads", ":Instance", put("attachedDisks.0.mode", "READ_ONLY"), "data-1"),
    Bug("the project's rights for every process", ":Instance", update(serviceAccount=ALL_RIGHTS), "app-1"),
    Bug("ended at maintenance", ":Instance", put("scheduling.onHostMaintenance", "TERMINATE"), "edge-1"),
    Bug("subnets everywhere", ":Network", put("autoCreateSubnetworks", True)),
    Bug("64 ports of NAT", ":RouterNat", put("minPortsPerVm", 64)),
    Bug("an address that changes", ":Instance", put("networkInterfaces.0.accessConfigs", [{}]), "edge-1"),
    Bug("the company's opening goes first", ":Firewall", put("priority", 1001), "in", given=True),
    Bug("in another subnet than named", ":Instance", put("networkInterfaces.0.subnetwork", "company-other"), "app-1", given=True),
    Bug("input unknown to the cloud", ":Instance", update(userdata="x"), "app-1"),
)

RECORD_BUGS = (
    Bug("another port", "RecordSet", put("rrdatas.0", f"10 10 5061 {RECORD_NAME}."), RECORD_LABEL),
    Bug("no final dot", "RecordSet", put("name", f"_sip._udp.{RECORD_NAME}"), RECORD_LABEL),
    Bug("outside the zone", "RecordSet", put("name", "_sip._udp.voice.example.org."), RECORD_LABEL),
    Bug("forgotten", "", forget, RECORD_LABEL),
)


def make_given(zones: tuple[str, ...]) -> list[tuple[str, str, dict[str, Any]]]:
    """A network as a company has it, in which its own firewalls are wide open inside."""
    return [
        ("network", NETWORK, {"name": "company", "autoCreateSubnetworks": False}),
        ("subnet", SUBNETWORK, {"name": "telephony", "network": "<network>", "ipCidrRange": "10.40.0.0/24"}),
        ("router", ROUTER, {"name": "company", "network": "<network>"}),
        (
            "nat",
            RouterNat.type,
            {
                "name": "company",
                "router": "company",
                "natIpAllocateOption": "AUTO_ONLY",
                "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES",
            },
        ),
        (
            "inside",
            Firewall.type,
            {"name": "company-inside", "network": "<network>", "sourceRanges": [WORLD], "allows": [{"protocol": "all"}]},
        ),
    ]


def list_given(zones: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Its subnet, as the setting has it."""
    return {"subnet": {"range": "10.40.0.0/24"}}


CASE = Case(
    types=Types(
        MACHINE,
        "gcp:compute/disk:Disk",
        ("bootDisk.initializeParams.image", 'metadata["startup-script"]'),
        "gcp:compute/address:Address",
    ),
    see=see,
    off=("currentStatus", "TERMINATED"),
    stopping=("STOPPING", "SUSPENDING"),
    bugs=BUGS,
    record_bugs=RECORD_BUGS,
    settings={"project": "test", "region": "europe-west3", "zone": "europe-west3-a"},
    config={"project": "simulated"},
    variables={"GOOGLE_CREDENTIALS": "{}", "GOOGLE_PROJECT": "simulated"},
    account="project simulated",
    quota=("INSTANCES", r"INSTANCES in europe-west3: 2, 0 used, 3 needed", "console.cloud.google.com"),
    refusals={
        "capacity": "Error 503: ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS: The zone does not have enough resources",
        "quota": "googleapi: Error 403: Quota 'CPUS' exceeded.  Limit: 24.0 in region europe-west3., quotaExceeded",
        "rate": "googleapi: Error 403: Rate Limit Exceeded, rateLimitExceeded",
    },
    image="projects/debian-cloud/global/images/family/debian-13",
    zone=f"company-zone/{ZONE}",
    zones=(("gcp:dns/managedZone:ManagedZone", {"name": "company-zone", "dnsName": f"{ZONE}."}),),
    records={"gcp:dns/recordSet:RecordSet": read_record},
    rule=("gcp:compute/firewall:Firewall", "sourceRanges", ["10.0.0.0/8"]),
    needed=(
        Needed(MACHINE, "bootDisk.autoDelete", True, "it stays and is paid for, and its name is taken"),
        Needed(MACHINE, "deletionProtection", False, "neither destroy nor a replacement can delete it"),
        Needed(MACHINE, "allowStoppingForUpdate", True, "another machine type is refused"),
        Needed(MACHINE, "serviceAccount", None, "every process on the node gets rights in the project from the metadata"),
        Needed(MACHINE, "scheduling.onHostMaintenance", "MIGRATE", "maintenance of the host ends the node and its calls"),
        Needed(NETWORK, "autoCreateSubnetworks", False, "a subnet in every region, in ranges that others have too"),
        Needed(RouterNat.type, "minPortsPerVm", 256, "the 65th connection to one destination is lost (real-clouds.md B12)"),
        Needed("gcp:compute/address:Address", "deletionPolicy", None, "destroy with the data never ends"),
    ),
    given=Given(make_given, list_given),
    unknown=("Instance", {"bootDisk": {"speed": 1}}),
    apart=True,  # Google, Placement policies overview: different hosts by default
)
