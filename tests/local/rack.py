"""Given hosts of a test, as their owner has them, and the deployment that is put on them."""

import os
from collections.abc import Iterator

import pytest

from tests.local.deployment import Deployment
from tests.local.owner import OF_CONTAINERS, USER, Owner, OwnHost

DATA = "/srv/webitel"
LISTED = "find /etc /home /usr/local -xdev -type f -not -path '/etc/ssl/certs/*' | sort | xargs -d '\\n' md5sum"


class Rack:
    """The hosts, their owner, and the deployment that is put on them."""

    def __init__(self, owner: Owner, deployment: Deployment) -> None:
        self.owner, self.deployment = owner, deployment
        self.hosts: dict[str, OwnHost] = {}
        self.before: dict[str, dict[str, str]] = {}
        self.devices = {purpose: f"{DATA}/{purpose}" for purpose in ("database", "recordings")}

    def add(self, key: str, place: int, **config: str) -> OwnHost:
        """Make a host for a node; `config` is its container's."""
        host = self.hosts[key] = self.owner.make(key, place, **config)
        self.before[key] = list_files(host)
        return host

    def describe(self, key: str) -> dict[str, object]:
        """A host as the stack file says it."""
        host, role = self.hosts[key], key.rpartition("-")[0]
        more = {"devices": self.devices} if role in ("all", "data") else {}
        return {"address": host.address, "role": role, "host_key": host.host_key, "accepts": list(OF_CONTAINERS), **more}

    def choose(self, *keys: str) -> None:
        """Have the hosts of these nodes in the stack file."""
        hosts = {"hosts": [self.describe(key) for key in keys]}
        if self.deployment.checkout.exists():
            self.deployment.set(**hosts)
        else:
            self.deployment.settings |= hosts
            self.deployment.make_checkout()


def list_files(host: OwnHost) -> dict[str, str]:
    """Digest by path of the files that an owner cares for."""
    return {path: digest for digest, _, path in (line.partition("  ") for line in host.run(LISTED).splitlines())}


def make_rack(folder: pytest.TempPathFactory, tier: str, user: str = USER, kind: type[Deployment] = Deployment) -> Iterator[Rack]:
    """A rack with a deployment of that tier that is not up yet."""
    deployment = kind(folder.mktemp(tier), f"t{os.getpid()}-rack{tier[0]}{user[0]}", {})
    owner = Owner(deployment.name, f"w{tier[0]}{user[0]}{os.getpid()}", deployment.network, deployment.folder)
    settings = {
        "cloud": "onprem",
        "tier": tier,
        "network": None,
        "domain": "voice.rack.lan",
        "operators": [str(deployment.network)],
        "package_source": "sandbox",
        "host_user": user,
    }
    try:
        owner.prepare()
        deployment.settings = {key: value for key, value in (deployment.settings | settings).items() if value is not None}
        with owner.agent() as variables:
            deployment.environment |= variables
            yield Rack(owner, deployment)
    finally:
        deployment.end()
        owner.end()
