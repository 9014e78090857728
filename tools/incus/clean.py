"""Removes all of ours from an Incus: what carries a label of ours, or a name of ours."""

from typing import Any

from tools.host.fetching import Progress
from tools.incus import api
from tools.incus.daemon import is_answering, stop_incus
from tools.incus.images import remove_images
from tools.incus.pool import remove_pool


def clean(progress: Progress) -> None:
    """Remove containers, networks, volumes, images and the pool, then stop the daemon if we started it.

    Safe to repeat.
    """
    if is_answering():
        for instance in filter(_is_ours, api.list_objects("/instances")):
            progress(f"deleting container {instance['name']}")
            api.delete_instance(instance["name"])
        for network in filter(_is_ours, api.list_objects("/networks")):
            progress(f"deleting network {network['name']}")
            api.remove(api.network_path(network["name"]))
        remove_images(progress)
        remove_pool(progress)
    stop_incus(progress)


def is_in_use() -> bool:
    """Whether any container of ours is there."""
    return is_answering() and any(map(_is_ours, api.list_objects("/instances")))


def _is_ours(found: dict[str, Any]) -> bool:
    return any(key.startswith("user.webitel.") for key in found["config"])
