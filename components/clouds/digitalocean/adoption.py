"""DigitalOcean: by name, which several may have, and by tags; its firewalls by the API itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.request import Request, urlopen

from components.clouds.adoption import REPEATED, Setting, Values, Way, made_of, tell
from components.clouds.digitalocean.interface import read_base, read_token


def filtered(name: str, field: str) -> Way:
    """By name, which several may have, and by tags."""
    return Way(
        lambda inputs, answer: [
            tell(one["id"]) for one in answer[field] if set(inputs.get("tags") or ()) <= set(one.get("tags") or ())
        ],
        f"digitalocean:index/{name}:{name}",
        lambda inputs: {"filters": [{"key": "name", "values": [inputs["name"]]}]},
    )


def only(name: str, nothing: str, *inputs: str) -> Way:
    """Find the only one of a name."""
    return Way(
        lambda given, answer: [tell(answer["id"])],
        f"digitalocean:index/{name}:{name}",
        lambda given: {key: given[key] for key in inputs},
        nothing,
    )


def list_firewalls(setting: Setting) -> Values:
    """List the account's firewalls by the API itself: the provider's function takes an id only."""
    token = read_token(setting)
    found: list[Any] = []
    url = f"{read_base(setting)}/v2/firewalls?per_page=200"
    while url:
        with urlopen(Request(url, headers={"Authorization": f"Bearer {token}"}), timeout=30) as response:
            page = json.load(response)
        found += page["firewalls"]
        url = ((page.get("links") or {}).get("pages") or {}).get("next", "")
    return {"firewalls": found}


WAYS: Mapping[str, Way] = {
    "digitalocean:index/dnsRecord:DnsRecord": Way(
        lambda inputs, answer: [
            f"{inputs['domain']},{tell(one['id'])}"
            for one in answer["records"]
            if all(one[name] == inputs[name] for name in ("name", "type", "value"))
        ],
        "digitalocean:index/getRecords:getRecords",
        lambda inputs: {"domain": inputs["domain"]},
    ),
    "digitalocean:index/droplet:Droplet": filtered("getDroplets", "droplets"),
    "digitalocean:index/firewall:Firewall": Way(
        lambda inputs, answer: [one["id"] for one in answer["firewalls"] if one["name"] == inputs["name"]], ask=list_firewalls
    ),
    "digitalocean:index/sshKey:SshKey": filtered("getSshKeys", "sshKeys"),
    "digitalocean:index/tag:Tag": made_of("{name}"),
    "digitalocean:index/volume:Volume": only("getVolume", "no volumes found with name", "name", "region"),
    "digitalocean:index/volumeAttachment:VolumeAttachment": REPEATED,
    "digitalocean:index/vpc:Vpc": only("getVpc", "no VPCs found with name", "name"),
}
"""By type, for all that the adapter makes."""
