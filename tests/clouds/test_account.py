"""What clouds would refuse, one account a cloud in which much is wrong: all of it is told by one asking, with the way on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.cloud import questions
from cli.cloud.checks import judge
from cli.cloud.questions import ask_cloud, read_stack_config
from components.clouds.aws.account import list_limits
from components.clouds.azure import account as azure
from components.clouds.gcp.account import NO_KEYS
from components.clouds.libvirt import account as libvirt
from components.clouds.libvirt.adoption import domain_id
from components.clouds.proxmox.places import Places
from components.clouds.questions import Asked
from components.model.clouds.offers import Finding
from components.model.settings import Settings
from components.model.site import Site
from stacks.load import load_deployment
from tests.clouds.conftest import LONG, Attach
from tests.plans import make_plan
from tests.simulator.account import tell
from tests.simulator.aws.buckets import BUCKET
from tests.simulator.gcp.buckets import BUCKET as GOOGLE_BUCKET
from tests.simulator.libvirt.resources import HOSTS
from tests.simulator.simulators import Simulators
from tests.simulator.world import Thing

pytestmark = pytest.mark.clouds


def ask(simulators: Simulators, stack: str) -> Iterator[str]:
    """`STATE NAME: FOUND; REMEDY` of everything that is not well."""
    plan = load_deployment(stack).plan
    answers = ask_cloud(plan, rest=simulators.interface.url, seconds=LONG)
    assert answers.account, answers.errors
    for check in judge(plan, answers):
        if check.state != "ok":
            yield f"{check.state} {check.name}: {check.found}; {check.mend}"


def put(simulators: Simulators, *things: Thing) -> None:
    """Things that the account has already."""
    with simulators.world.change():
        for thing in things:
            simulators.world.put(thing)


def find(told: list[str], *words: str) -> str:
    """The one line that has all of these words."""
    (line,) = [line for line in told if all(word in line for word in words)]
    return line


def test_azure(attach: Attach) -> None:
    simulators = attach("azure")
    plan = load_deployment("azure-basic").plan
    size = plan.node("edge-1").machine_type.name
    tell(
        simulators.world,
        "azure-native",
        controllers={size: "SCSI"},
        withdrawn={"Premium_LRS": ["1"], "PremiumV2_LRS": ["1"]},
        limits={"standardFalsv6Family": 4, "StandardSkuPublicIpAddresses": 1},
    )
    put(simulators, Thing("azure-native:resources:ResourceGroup", "g", "", {"resourceGroupName": plan.stack}))
    told = list(ask(simulators, "azure-basic"))
    assert f"= {size}: its disks need a controller NVMe, and Azure has SCSI there" in find(told, "MISSING disks", "controller")
    assert "webitel:region: swedencentral" in find(told, "MISSING disks", "the subscription gets no disks Premium")
    family = find(told, "standardFalsv6Family in westeurope: 4")
    assert "support ticket" in family and "webitel:machine_types: {" in family and ": room for them)" in family
    assert "1, 0 used, 2 needed" in find(told, "MISSING quota", "StandardSkuPublicIpAddresses")
    assert "resource group azure-basic already" in find(told, "MISSING names")


def test_google_cloud(attach: Attach) -> None:
    simulators = attach("gcp")
    plan = load_deployment("gcp-basic").plan
    family = plan.node("edge-1").machine_type.family.upper()
    tell(
        simulators.world,
        "gcp",
        families={family: 8},
        limits={"FIREWALLS": 10, "CPUS_ALL_REGIONS": 12},
        withdrawn={"pd-ssd": ["europe-west3-a"]},
        constraints={
            "constraints/compute.requireOsLogin": {"booleanPolicy": {"enforced": True}},
            "constraints/compute.vmExternalIpAccess": {"listPolicy": {"allValues": "DENY"}},
        },
    )
    put(simulators, Thing("gcp:compute/network:Network", "n", "", {"name": plan.stack}))
    told = list(ask(simulators, "gcp-basic"))
    assert "8, 20 needed" in find(told, "MISSING quota by family", f"vCPUs of {family} in europe-west3")
    assert "10, 0 used" in find(told, "MISSING quota: FIREWALLS in the project")
    assert "12, 0 used, 20 needed" in find(told, "MISSING quota: CPUS_ALL_REGIONS")
    assert "disable-enforce compute.requireOsLogin --project simulated" in find(told, "MISSING constraints", "requireOsLogin")
    assert "zones/europe-west3-a/instances/gcp-basic-edge-1" in find(told, "MISSING constraints", "vmExternalIpAccess")
    assert "no disks pd-ssd in europe-west3-a" in find(told, "MISSING disks")
    assert "a network gcp-basic already" in find(told, "MISSING names")


def test_google_cloud_whose_quotas_by_family_nobody_tells(attach: Attach) -> None:
    told = list(ask(attach("gcp"), "gcp-basic"))
    assert "Cloud Quotas API has not been used" in find(told, "note quota by family: not compared", "CPUS_PER_VM_FAMILY")


def test_digitalocean(attach: Attach) -> None:
    simulators = attach("digitalocean")
    vpc = {"region": "nyc3", "name": "office", "ipRange": "10.20.64.0/20", "default": True}
    put(simulators, Thing("digitalocean:index/vpc:Vpc", "v", "", vpc))
    told = list(ask(simulators, "digitalocean-basic"))
    assert "the VPC office (nyc3) has 10.20.64.0/20; use a range" in find(
        told, "MISSING network", "webitel:network = 10.20.0.0/16"
    )
    assert "such as 10.21.0.0/16" in find(told, "MISSING network")
    assert "doctl vpcs create --name default-fra1 --region fra1" in find(told, "note network: fra1 has no default VPC")


def test_hetzner(attach: Attach) -> None:
    simulators = attach("hetzner")
    server, network = "hcloud:index/server:Server", "hcloud:index/network:Network"
    put(
        simulators,
        Thing(server, "7", "", {"name": "hetzner-extended-sip-1"}),
        Thing(network, "8", "", {"name": "hetzner-extended", "ipRange": "10.9.0.0/16"}),
    )
    told = list(ask(simulators, "hetzner-extended"))
    assert find(told, "MISSING names", "a server hetzner-extended-sip-1") and find(told, "a network hetzner-extended already")
    limit = find(told, "note server limit", "1 in this project, 7 more needed, and a new account may have 5")
    assert "https://console.hetzner.cloud/limits" in limit
    assert "webitel:region: nbg1 or webitel:region: hel1" in find(told, "note capacity", "refused in fsn1")


def test_proxmox(attach: Attach) -> None:
    """As a fresh installation has it, with a host that is too small and a token that may too little."""
    simulators = attach("proxmox")
    tell(
        simulators.world,
        "proxmoxve",
        release="8.4",
        stores={"local": ("iso", "vztmpl", "backup"), "local-lvm": ("images", "rootdir")},
        limits={"memory": 40, "disk": 300},
        withheld=("VM.Clone", "Datastore.AllocateTemplate"),
    )
    plan = load_deployment("proxmox-basic").plan
    number = Places(plan, Site(), "").vm_id(plan.node("data-1"))
    taken = {"name": "mail", "nodeName": "pve2", "disks": []}
    put(simulators, Thing("proxmoxve:index/vmLegacy:VmLegacy", str(number), "", taken, {"disks": [], "status": "running"}))
    told = list(ask(simulators, "proxmox-basic"))
    assert "the token lacks Datastore.AllocateTemplate, VM.Clone" in find(told, "MISSING rights")
    assert "pvesm set local --content backup,iso,snippets,vztmpl" in find(told, "MISSING stores", "may not hold snippets")
    assert "local-lvm on pve has 300 GiB free, 880 are needed" in find(told, "MISSING disk")
    assert "pve has 40 GiB of memory free, its nodes take 56" in find(told, "MISSING memory")
    assert f"{number} is mail, which this deployment's state does not know" in find(told, "MISSING numbers")
    assert "only root@pam with a password may" in find(told, "note affinity") and "--affinity 2-5" in find(told, "note affinity")
    assert "Proxmox VE 8.4: nothing keeps members of a role" in find(told, "note release")


def test_proxmox_with_all_that_it_takes(attach: Attach) -> None:
    assert [line.partition(":")[0] for line in ask(attach("proxmox"), "proxmox-basic")] == ["note affinity"]


def test_aws(attach: Attach) -> None:
    simulators = attach("aws")
    tell(simulators.world, "aws", limits={"L-0EA8095F": 5})
    others = [Thing("aws:ec2/eip:Eip", f"eipalloc-{n}", "", {"tags": {"webitel:stack": "another"}}) for n in range(4)]
    own = Thing("aws:ec2/eip:Eip", "eipalloc-9", "", {"tags": {"webitel:stack": "aws-basic"}})
    vpcs = [Thing("aws:ec2/vpc:Vpc", f"vpc-{n}", "", {"cidrBlock": "10.0.0.0/16", "tags": {}}) for n in range(5)]
    put(simulators, *others, own, *vpcs)
    told = list(ask(simulators, "aws-basic"))
    # One of the five is of an `up` that went half the way.
    assert "5, 4 used, 2 needed; aws service-quotas" in find(told, "MISSING quota: EC2-VPC Elastic IPs")
    assert "5, 5 used, 1 needed" in find(told, "MISSING quota: VPCs per Region")
    assert "--service-code vpc --quota-code L-0EA8095F" in find(
        told, "MISSING quota: Inbound or outbound rules per security group"
    )


@pytest.mark.parametrize(
    ("cloud", "bucket"),
    [
        ("aws", Thing(BUCKET, "acme-old", "", {"bucket": "acme-old"}, {"arn": "", "bucketRegion": "us-east-1"})),
        ("gcp", Thing(GOOGLE_BUCKET, "acme-old", "", {"name": "acme-old"}, {"location": "EU", "url": "gs://acme-old"})),
    ],
)
def test_names_of_buckets(cloud: str, bucket: Thing, attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    simulators, read = attach(cloud), read_stack_config
    put(simulators, bucket)
    given = {"webitel:backup": {"bucket": "acme-new", "kept_buckets": ["acme-old", "webitel"]}}
    monkeypatch.setattr(questions, "read_stack_config", lambda name: {**read(name), **given})
    told = list(ask(simulators, f"{cloud}-basic"))
    assert "the account has it already, and this deployment's state does not know it" in find(told, "MISSING bucket", "acme-old")
    assert "somebody else has it; take another name" in find(told, "MISSING bucket", "= webitel")
    assert not [line for line in told if "acme-new" in line]


def test_an_organisation_that_forbids_keys_on_google_cloud(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    simulators, read = attach("gcp"), read_stack_config
    monkeypatch.setattr(questions, "read_stack_config", lambda name: {**read(name), "webitel:backup": {"bucket": "acme-new"}})
    assert not [line for line in ask(simulators, "gcp-basic") if "MISSING key" in line]
    tell(simulators.world, "gcp", constraints={f"constraints/{NO_KEYS}": {"booleanPolicy": {"enforced": True}}})
    told = list(ask(simulators, "gcp-basic"))
    assert f"disable-enforce {NO_KEYS} --project simulated" in find(told, "MISSING key", "webitel:backup.bucket")


def test_a_refusal_that_comes_first_leaves_the_others_their_time(
    attach: Attach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulators, read = attach("hetzner"), read_stack_config
    slow = [
        {"kind": "slow", "operation": "invoke", "type": name, "seconds": 4, "times": 0} for name in ("getSshKeys", "getServers")
    ]
    (tmp_path / "world/faults.json").write_text(json.dumps(slow))
    monkeypatch.setattr(questions, "read_stack_config", lambda name: {**read(name), "webitel:image": "debian-11"})
    told = list(ask(simulators, "hetzner-extended"))
    assert find(told, "MISSING image") and find(told, "note server limit")


@pytest.mark.parametrize(
    ("stack", "image", "words"),
    [
        ("hetzner-single", "debian-11", "no image found with name debian-11"),
        ("digitalocean-single", "debian-11-x64", "image not found"),
        ("gcp-single", "projects/debian-cloud/global/images/family/debian-11", "404"),
        ("azure-single", "Debian:debian-11:11-gen2:latest", "404"),
        ("aws-single", "ami-00000000000000000", "returned no results"),
    ],
)
def test_an_image_that_is_gone(attach: Attach, stack: str, image: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    simulators = attach(stack.partition("-")[0])
    read = read_stack_config
    monkeypatch.setattr(questions, "read_stack_config", lambda name: {**read(name), "webitel:image": image})
    line = find(list(ask(simulators, stack)), "MISSING image")
    assert f"webitel:image = {image}: it does not exist" in line and words in line and "take one such as" in line


def test_azure_counts_the_address_of_every_zones_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"cloud": "azure", "tier": "basic", "zones": ["1", "2", "3"], "counts": {"data": 3}}
    plan = make_plan(Settings.model_validate(settings), "azure-zones")
    usage = {"name": {"value": "PublicIPAddresses", "localizedValue": "Addresses"}, "limit": 3, "currentValue": 0}

    async def get(asked: Asked, path: str) -> dict[str, list[dict[str, object]]]:
        return {"value": [usage]}

    monkeypatch.setattr(azure, "get", get)
    (finding,) = asyncio.run(azure.ask_network_limits(Asked(plan)))
    assert "3, 0 used, 4 needed" in finding.found


def test_aws_holds_no_group_with_all_carriers_against_the_quota() -> None:
    """Too many for one group have further ones: `up` must not be refused for what nothing makes."""
    carriers = [f"62.{n}.0.0/24" for n in range(0, 100, 2)]
    plan = make_plan(Settings.model_validate({"cloud": "aws", "tier": "basic", "carriers": carriers}), "aws-many")
    (rules,) = (limit.needed for limit in list_limits(Asked(plan), 0, 0) if limit.code == "L-0EA8095F")
    assert rules <= plan.facts.rules_per_group


def test_libvirt(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    simulators, read = attach("libvirt"), read_stack_config
    for name, value in simulators.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(questions, "read_stack_config", lambda name: {**read(name), "webitel:site": {"data_store": "fast"}})
    tell(simulators.world, "libvirt", pools=["default"], networks=["office"], memory_gib=20)
    left = domain_id("libvirt-basic-app-1")
    for id, name in (("u", "libvirt-basic-data-1"), (left, "libvirt-basic-app-1")):
        put(simulators, Thing("libvirt:index/domain:Domain", id, "", {"name": name}, {"state": "shut off"}))
    told = list(ask(simulators, "libvirt-basic"))
    assert "no network default that is started; there are office" in find(told, "MISSING network")
    assert "virsh pool-define-as fast dir" in find(told, "MISSING stores", "no pool fast")
    assert "18 GiB free, 56 GiB needed" in find(told, "MISSING memory")
    assert "virsh undefine libvirt-basic-data-1" in find(told, "note names")
    assert "app-1" not in find(told, "note names"), "what a start of ours that failed left is defined anew"


def test_vsphere(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    simulators, read = attach("vsphere"), read_stack_config
    for name, value in simulators.environment.items():
        monkeypatch.setenv(name, value)
    site = {"data_store": "fast", "network": "office", "core_mhz": 3000}
    changed = {"webitel:site": site, "webitel:image": "templates/debian-11"}
    monkeypatch.setattr(questions, "read_stack_config", lambda name: {**read(name), **changed})
    tell(
        simulators.world,
        "vsphere",
        release="7.0.3",
        withheld=["VirtualMachine.Config.Resource"],
        without_drs=["cluster"],
        hosts=1,
        memory_gib=20,
        free_gib=100,
    )
    put(
        simulators,
        Thing("vsphere:index/virtualMachine:VirtualMachine", "u", "", {"name": "vsphere-basic-data-1", "memory": 4096}),
    )
    told = list(ask(simulators, "vsphere-basic"))
    assert "upgrade it to 8 or later" in find(told, "MISSING release", "7.0.3")
    assert "the user lacks VirtualMachine.Config.Resource" in find(told, "MISSING rights")
    assert "20 GiB of memory free, its nodes reserve" in find(told, "MISSING memory")
    assert "set it to 2600" in find(told, "MISSING CPU", "core_mhz = 3000")
    assert "vCenter has: datastore1, ssd" in find(told, "MISSING stores", "no store fast")
    assert "datastore1 has 100 GiB free" in find(told, "MISSING stores", "are needed")
    assert "telephony" in find(told, "MISSING network", "no network office")
    assert "no template of that name" in find(told, "MISSING image")
    assert "vCenter has a machine vsphere-basic-data-1 already" in find(told, "note names")


@pytest.mark.parametrize(
    ("zones", "words"),
    [
        (["cluster"], [("note DRS", "cluster has no DRS", "drs: false"), ("note hosts", "cluster has 1 hosts, 2 members")]),
        (["cluster", "berlin"], [("MISSING clusters: no cluster berlin", "vCenter has: cluster, cluster-2, cluster-3")]),
    ],
)
def test_vsphere_has_clusters_that_keep_members_apart(
    attach: Attach, zones: list[str], words: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulators, read = attach("vsphere"), read_stack_config
    for name, value in simulators.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(questions, "read_stack_config", lambda name: {**read(name), "webitel:zones": zones})
    tell(simulators.world, "vsphere", without_drs=["cluster"], hosts=1)
    told = list(ask(simulators, "vsphere-extended"))
    for each in words:
        assert find(told, *each)


def test_xen(attach: Attach) -> None:
    """With two networks and two stores of a name, no such template, and none of the hosts."""
    simulators = attach("xen")
    usual = "Pool-wide network associated with eth0"
    tell(
        simulators.world,
        "xenorchestra",
        hosts=["xcp2"],
        networks=[usual, usual],
        stores=["Local storage", "Local storage"],
        templates=["debian-11"],
    )
    told = list(ask(simulators, "xen-basic"))
    assert find(told, "MISSING hosts", "no host xcp1, or several")
    assert "webitel:site.pool where several have it" in find(told, "MISSING network", f"no network {usual}, or several")
    assert "webitel:site with store: local-{host}" in find(told, "MISSING stores", "no store Local storage, or several")
    assert "docs/operate/xen.md" in find(told, "MISSING image", "no template of that name, or several")
    assert find(told, "note tools", "nobody tells whether the template has guest tools")


def test_xen_with_too_little(attach: Attach) -> None:
    """And what a start that failed has left."""
    simulators = attach("xen")
    tell(simulators.world, "xenorchestra", limits={"memory": 40, "disk": 300})
    left = {"nameLabel": "xen-basic-data-1", "tags": ["webitel"], "template": "t", "cpus": 4, "memoryMax": 1, "memoryMin": 1}
    put(simulators, Thing("xenorchestra:index/vm:Vm", "u", "", left, {"powerState": "Halted", "disks": []}))
    told = list(ask(simulators, "xen-basic"))
    assert "xcp1 has 40 GiB of memory free, its nodes take 56" in find(told, "MISSING memory")
    assert "Local storage has 300 GiB free, 880 GiB are needed" in find(told, "MISSING disk")
    assert "a machine xen-basic-data-1 already" in find(told, "MISSING names")


def test_xen_with_all_that_it_takes(attach: Attach) -> None:
    assert [line.partition(":")[0] for line in ask(attach("xen"), "xen-basic")] == ["note tools"]


def test_libvirt_on_several_hosts(attach: Attach, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is asked by its own endpoint, for its own nodes."""
    simulators = attach("libvirt")
    for name, value in simulators.environment.items():
        monkeypatch.setenv(name, value)
    hosts = {name: HOSTS[name] for name in ("kvm-2", "kvm-3")}
    settings = Settings.model_validate(
        {"cloud": "libvirt", "tier": "basic", "zones": [*hosts], "counts": {"data": 3}, "site": {"hosts": hosts}}
    )
    asked = Asked(make_plan(settings, "libvirt-hosts"), site=settings.site)
    state = {"state": "shut off", "host": HOSTS["kvm-3"]}
    put(simulators, Thing("libvirt:index/domain:Domain", "u", "", {"name": "libvirt-hosts-data-2"}, state))
    tell(simulators.world, "libvirt", memory_gib=100)

    def say(question: str) -> list[str]:
        async def ask_it() -> list[Finding]:
            return await libvirt.make_questions(asked).others[question]()

        return [one.found for one in asyncio.run(ask_it())]

    assert asyncio.run(libvirt.ask_account(asked)) == (
        "a host with 64 CPUs and 512 GiB (kvm-2), a host with 64 CPUs and 512 GiB (kvm-3)"
    )
    assert say("memory") == ["kvm-2: 98 GiB free, 88 GiB needed", "kvm-3: 98 GiB free, 32 GiB needed"]
    assert say("names") == [
        "kvm-3: the host has a machine libvirt-hosts-data-2 already, which this deployment's state does not know"
    ]
    assert [line.partition(":")[0] for line in say("stores")] == ["kvm-2", "kvm-3"]
