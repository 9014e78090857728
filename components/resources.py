"""Our own resource types as the program sees them; what they do stands in `provider/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
from pulumi import Input, Output, ResourceOptions

from components.model import resource_types

Addresses = Mapping[str, Input[str]]


def _secret(*names: str, opts: ResourceOptions | None) -> ResourceOptions:
    """Return the options with outputs that are secret whatever the provider says."""
    return ResourceOptions.merge(ResourceOptions(additional_secret_outputs=list(names)), opts)


class Secrets(pulumi.CustomResource):
    """Every generated secret of the deployment: `values` (secret) and the public halves `public`, by name."""

    values: Output[dict[str, str]]
    public: Output[dict[str, str]]

    def __init__(
        self,
        name: str,
        *,
        names: Sequence[str],
        generations: Mapping[str, int],
        domain: str,
        certificate: Input[str] | None = None,
        web_names: Sequence[str] = (),
        recovered: Input[Mapping[str, str]] | None = None,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs: dict[str, Any] = {"names": list(names), "generations": dict(generations), "domain": domain}
        if certificate is not None:
            inputs |= {"certificate": Output.secret(certificate), "web_names": list(web_names)}
        if recovered is not None:
            inputs["recovered"] = Output.secret(recovered)
        super().__init__(resource_types.SECRETS, name, {**inputs, "values": None, "public": None}, _secret("values", opts=opts))


class NodeConfiguration(pulumi.CustomResource):
    """What a node must have, given to it over SSH. Inputs: `provider/node_inputs.py` NodeInputs."""

    digest: Output[str]
    machine_id: Output[str]
    host_key: Output[str]
    host_keys: Output[dict[str, str]]

    def __init__(self, name: str, inputs: Mapping[str, Any], opts: ResourceOptions | None = None) -> None:
        outputs = dict.fromkeys(("digest", "host_key", "host_keys"))
        super().__init__(resource_types.CONFIGURATION, name, {**inputs, **outputs}, opts)


class Health(pulumi.CustomResource):
    """Every service of the deployment, healthy. Inputs: `provider/health.py` HealthInputs."""

    healthy: Output[bool]
    services: Output[int]

    def __init__(
        self,
        name: str,
        *,
        nodes: Mapping[str, Mapping[str, Any]],
        digests: Mapping[str, Input[str]],
        private_key: Input[str],
        timeout: int,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs = {"nodes": nodes, "digests": digests, "private_key": private_key, "timeout": timeout}
        super().__init__(resource_types.HEALTH, name, {**inputs, "healthy": None, "services": None}, opts)


class GivenHost(pulumi.CustomResource):
    """A host that was given. Inputs: `provider/given_host.py` HostInputs."""

    machine_id: Output[str]
    host_key: Output[str]
    host_name: Output[str]

    def __init__(self, resource_name: str, inputs: Mapping[str, Any], opts: ResourceOptions | None = None) -> None:
        outputs = dict.fromkeys(("machine_id", "host_name", "claim", "taken"))
        super().__init__(resource_types.GIVEN_HOST, resource_name, {**inputs, **outputs}, opts)


class LocalImage(pulumi.CustomResource):
    """The image of local machines: the user's `alias`, or one on which `user_data` has run, or the base image."""

    alias: Output[str]

    def __init__(
        self,
        name: str,
        *,
        alias: str = "",
        key: str = "",
        user_data: str = "",
        opts: ResourceOptions | None = None,
    ) -> None:
        given = {"key": key, "user_data": user_data} if user_data else {}
        super().__init__(resource_types.LOCAL_IMAGE, name, {"alias": alias, **given}, opts)


class LocalNetwork(pulumi.CustomResource):
    """A bridge of this host. `traits` differ from the usual one: `nat` and `routed` False, `public` True for the internet's."""

    name: Output[str]
    gateway: Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: str,
        cidr: str,
        labels: Mapping[str, str],
        opts: ResourceOptions | None = None,
        **traits: bool,
    ) -> None:
        inputs = {"name": name, "cidr": cidr, "labels": dict(labels), **traits}
        super().__init__(resource_types.LOCAL_NETWORK, resource_name, {**inputs, "gateway": None}, opts)


class LocalAddress(pulumi.CustomResource):
    """A public address of a machine that knows only its private one: this host translates 1:1."""

    public: Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        bridge: Input[str],
        public: str,
        private: Input[str],
        network: str,
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs = {"bridge": bridge, "public": public, "private": private, "network": network}
        super().__init__(resource_types.LOCAL_ADDRESS, resource_name, inputs, opts)


class LocalDisk(pulumi.CustomResource):
    """A data disk that outlives its machine."""

    name: Output[str]

    def __init__(
        self,
        resource_name: str,
        *,
        name: str,
        purpose: str,
        size_gib: int,
        labels: Mapping[str, str],
        opts: ResourceOptions | None = None,
    ) -> None:
        inputs = {"name": name, "purpose": purpose, "size_gib": size_gib, "labels": dict(labels)}
        super().__init__(resource_types.LOCAL_DISK, resource_name, inputs, opts)


class LocalMachine(pulumi.CustomResource):
    """A system container of this host. Inputs: `provider/incus_machine_inputs.py` MachineInputs."""

    machine_id: Output[str]
    address: Output[str]

    def __init__(self, resource_name: str, inputs: Mapping[str, Any], opts: ResourceOptions | None = None) -> None:
        super().__init__(resource_types.LOCAL_MACHINE, resource_name, {**inputs, "machine_id": None}, opts)
