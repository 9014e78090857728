"""DigitalOcean: functions that find what exists, and what the account is told (`facts/clouds.md`)."""

from __future__ import annotations

from collections.abc import Mapping

from provider.server import Properties, ProviderError
from tests.simulator.account import Function, limit, offers, read_facts
from tests.simulator.call import Account
from tests.simulator.lookups import Lookups

PLACES = ("fra1", "ams3", "nyc3")
"""Regions."""
IMAGES = ("debian-12-x64", "debian-13-x64")

LOOKUPS = Lookups(
    names={
        "digitalocean:index": ("Vpc", "Droplet", "Firewall", "Volume", "SshKey", "Tag", "ReservedIp", "Domain", "Record"),
    },
    lists={
        "digitalocean:index/getDroplets": ("digitalocean:index/droplet:Droplet", "droplets"),
        "digitalocean:index/getSshKeys": ("digitalocean:index/sshKey:SshKey", "sshKeys"),
    },
    nothing="no {name}s found with name {asked[name]}",
    types={"digitalocean:index/getRecord": "digitalocean:index/dnsRecord:DnsRecord"},
)


def _account(account: Account, arguments: Properties) -> Properties:
    return {
        "dropletLimit": int(limit(account, "droplets", 25)),
        "email": "test@example.com",
        "emailVerified": True,
        "floatingIpLimit": 3,
        "id": "a",
        "status": read_facts(account).get("status", "active"),
        "statusMessage": "",
        "uuid": "a",
    }


def _sizes(account: Account, arguments: Properties) -> Properties:
    found = offers(account, "digitalocean", PLACES)
    names = dict.fromkeys(name for names in found.values() for name in names)
    return {
        "id": "sizes",
        "sizes": [
            {"slug": name, "available": True, "regions": [place for place, names in found.items() if name in names]}
            for name in names
        ],
    }


def _image(account: Account, arguments: Properties) -> Properties:
    """Words of the provider's data source (v2.99.1, `digitalocean/image/datasource_image.go`)."""
    if arguments.get("slug") not in IMAGES:
        raise ProviderError(f"image not found: GET https://api.digitalocean.com/v2/images/{arguments.get('slug')}: 404")
    return {**arguments, "id": 1, "name": "12 x64", "distribution": "Debian", "regions": [*PLACES], "status": "available"}


FUNCTIONS: Mapping[str, Function] = {
    **LOOKUPS.make_functions(),
    "digitalocean:index/getAccount:getAccount": _account,
    "digitalocean:index/getImage:getImage": _image,
    "digitalocean:index/getSizes:getSizes": _sizes,
}
"""By token."""
