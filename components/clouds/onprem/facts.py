"""Hosts that are given: what is known before anybody is asked."""

from __future__ import annotations

from components.model import resource_types
from components.model.clouds.facts import AddressMove, CloudFacts, PublicAddress
from components.model.machine import Public

FACTS = CloudFacts(
    name="onprem",
    title="given hosts",
    default_region="onprem",
    default_network="10.20.0.0/24",
    # As the settings say, both of them.
    login_user="debian",
    public_address=PublicAddress.PRIVATE,
    private_node=Public.NO,
    fixed_addresses=True,
    firewall_filters_private=False,
    plain_network="whoever is at the network of the hosts can listen",
    real=False,
    priced=False,
    given=True,
    region_shape="onprem",
    # A host is what its owner has: no smaller boot disk than the tier's is known to be too small.
    network_prefixes=(8, 30),
    # Racks, or hypervisors: whatever is lost together.
    zones=("a", "b", "c", "d", "e", "f"),
    max_networks=400,
    address_moves=AddressMove.ARP,
    machine_resource=resource_types.GIVEN_HOST,
)
