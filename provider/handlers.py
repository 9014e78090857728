"""The resource types of the provider `webitel`."""

from collections.abc import Sequence

from provider.handler import Handler

HANDLERS: Sequence[Handler] = []
"""One handler a resource type: the only place where a new one is registered."""
