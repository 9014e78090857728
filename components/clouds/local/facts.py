"""Containers on this machine: what is known before anybody is asked."""

from __future__ import annotations

from components.model.clouds.facts import CloudFacts, PublicAddress
from components.model.machine import Public

FACTS = CloudFacts(
    name="local",
    title="this machine",
    default_region="local",
    default_network="10.77.0.0/24",
    login_user="debian",
    private_node=Public.NO,
    public_address=PublicAddress.PRIVATE,
    fixed_addresses=True,
    firewall_filters_private=False,
    real=False,
    priced=False,
    region_shape="local",
    trial=True,
    boot_min_gib=5,
    # Nothing on one host; drills lose the nodes of one together.
    zones=("a", "b", "c"),
    # No firewall but the nodes' own, whose files grow with them (`provider/node_inputs.py`).
    max_networks=400,
    machine_resource="webitel:index:LocalMachine",
)
