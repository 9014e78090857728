"""The resource types of the provider `webitel`."""

from collections.abc import Sequence

from provider.configuration import NodeConfiguration
from provider.given_host import GivenHost
from provider.handler import Handler
from provider.health import Health
from provider.incus import LocalDisk, LocalNetwork
from provider.incus_address import LocalAddress
from provider.incus_image import LocalImage
from provider.incus_machine import LocalMachine
from provider.secrets import Secrets

HANDLERS: Sequence[Handler] = [
    Secrets(),
    NodeConfiguration(),
    Health(),
    GivenHost(),
    LocalImage(),
    LocalNetwork(),
    LocalAddress(),
    LocalDisk(),
    LocalMachine(),
]
"""One handler a resource type: the only place where a new one is registered."""
