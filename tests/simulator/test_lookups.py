"""Finding again what exists."""

from collections.abc import Callable
from typing import Any

import pytest

from provider.server import Request
from tests.simulator.conftest import KEY, Driver


def find(cloud: Driver, token: str, **arguments: Any) -> Any:
    assert cloud.provider.invoke
    return cloud.provider.invoke(Request(""), token, arguments)


def test_by_name_id_and_tags(make_driver: Callable[[str], Driver]) -> None:
    hetzner = make_driver("hetzner")
    key = hetzner.create("SshKey", name="k", publicKey=KEY)
    token = "hcloud:index/getSshKey:getSshKey"
    assert find(hetzner, token, name="k")["id"] == key.id
    assert find(hetzner, token, id=key.number)["publicKey"] == KEY
    with pytest.raises(Exception, match="no SshKey found"):
        find(hetzner, token, name="other")
    with pytest.raises(Exception, match="nothing to look for"):
        find(hetzner, token, mostRecent=True)

    aws = make_driver("aws")
    for n in (1, 2):
        aws.create("Vpc", f"v{n}", cidrBlock="10.0.0.0/16", tags={"Name": f"v{n}", "stack": "s"})
    token = "aws:ec2/getVpc:getVpc"
    assert find(aws, token, tags={"Name": "v2"})["tags"] == {"Name": "v2", "stack": "s"}
    assert find(aws, token, filters=[{"name": "tag:Name", "values": ["v1"]}])["tags"]["Name"] == "v1"
    with pytest.raises(Exception, match="2 Vpc found"):
        find(aws, token, tags={"stack": "s"})
    with pytest.raises(Exception, match="filter 'colour' is invalid"):
        find(aws, token, filters=[{"name": "colour", "values": ["red"]}])

    google = make_driver("gcp")
    network = google.create("Network", name="net")
    assert find(google, "gcp:compute/getNetwork:getNetwork", name="net", project="test")["id"] == network.id
    assert find(google, "gcp:compute/getNetwork:getNetwork", selfLink=network.outputs["selfLink"])["name"] == "net"
    ocean = make_driver("digitalocean")
    ocean.create("Domain", name="example.com")
    record = ocean.create("DnsRecord", domain="example.com", name="voice", type="A", value="192.0.2.1")
    assert find(ocean, "digitalocean:index/getRecord:getRecord", domain="example.com", name="voice")["id"] == record.id
