"""DigitalOcean makes the first network of a region its default and never deletes it: `destroy` ends well all the same."""

from __future__ import annotations

import pytest

from tests.clouds.conformance.command import OWN, command_line
from tests.clouds.conformance.conftest import Start
from tests.simulator.account import tell

pytestmark = pytest.mark.clouds

VPC, DROPLET = "digitalocean:index/vpc:Vpc", "digitalocean:index/droplet:Droplet"


def test_the_first_network_of_a_region_does_not_stop_destroy(start: Start) -> None:
    live = start("digitalocean-single")
    tell(live.world, "digitalocean", fresh=True)
    live.deployment.configure(OWN)
    live.deployment.up()
    (network,) = live.world.all(VPC)
    stack = live.deployment.stack
    with command_line(live) as webitel:
        ran = webitel("destroy", stack, "--yes")
        assert ran.exit_code == 0, (ran.exception, ran.output)
        assert [one.id for one in live.world.all(VPC)] == [network.id] and not live.world.all(DROPLET)
        live.deployment.up()  # and takes it again
        assert [one.id for one in live.world.all(VPC)] == [network.id] and live.world.all(DROPLET)
        ran = webitel("destroy", stack, "--yes", "--with-data")
        assert ran.exit_code == 0, (ran.exception, ran.output)
        assert f"The network {stack} still exists" in " ".join(ran.output.split())
    assert {one.type for one in live.world.all()} == {VPC, "digitalocean:simulated:Account"}
