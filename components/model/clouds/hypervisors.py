"""What is alike on hypervisors of one's own (`facts/onprem.md` 7): network, addresses and images are their owner's."""

from __future__ import annotations

from components.model.clouds.facts import AddressMove, CloudFacts, PublicAddress
from components.model.machine import Public

HYPERVISOR = CloudFacts(
    name="",
    title="",
    default_region="",
    region_shape="",
    default_network="10.20.0.0/16",
    login_user="debian",
    private_node=Public.NO,
    public_address=PublicAddress.PRIVATE,
    fixed_addresses=True,
    firewall_filters_private=False,
    firewalls=False,
    real=True,
    priced=False,
    made_to_measure=True,
    # Where its owner filters no addresses of machines (docs/operate/availability.md, two edges).
    address_moves=AddressMove.ARP,
    # No firewall but the nodes' own, whose files grow with them (`provider/node_inputs.py`).
    max_networks=400,
    max_operators=400,
)
"""What each of them starts from."""
