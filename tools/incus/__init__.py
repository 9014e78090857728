"""Incus for the platform `local`: the daemon, its pool, its images.

The names of pool and images start with `webitel`; nothing else of an existing Incus is touched.
"""

from tools.incus.api import POOL, IncusError
from tools.incus.clean import is_in_use
from tools.incus.daemon import ensure_incus, stop_incus
from tools.incus.images import ensure_base_image, ensure_packages_image, remove_images, store_images
from tools.incus.pool import ensure_pool, remove_pool

__all__ = [
    "POOL",
    "IncusError",
    "ensure_base_image",
    "ensure_incus",
    "ensure_packages_image",
    "ensure_pool",
    "is_in_use",
    "remove_images",
    "remove_pool",
    "stop_incus",
    "store_images",
]
