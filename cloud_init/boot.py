"""Everything that a deployment's machines boot with, composed before the first of them is created."""

from __future__ import annotations

from cloud_init.compose import compose_user_data
from cloud_init.packages_image import compose_packages_image
from components.model.catalogue.service import PackageSource
from components.model.plan import Plan
from components.model.settings import Settings
from components.model.user_data import BootTexts


def compose_boot_texts(plan: Plan, settings: Settings) -> BootTexts:
    """Compose the user data of every node, and the image of ours where containers start from one."""
    nodes = {node.key: compose_user_data(plan, node, settings) for node in plan.nodes}
    if not plan.facts.trial or settings.image:
        return BootTexts(nodes)
    return BootTexts(nodes, compose_packages_image(PackageSource(plan.package_source), plan.facts))
