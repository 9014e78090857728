"""The resource types of the provider `webitel`."""

from collections.abc import Sequence

from provider.handler import Handler
from provider.incus import LocalDisk, LocalNetwork
from provider.incus_machine import LocalMachine

HANDLERS: Sequence[Handler] = [LocalNetwork(), LocalDisk(), LocalMachine()]
"""One handler a resource type: the only place where a new one is registered."""
